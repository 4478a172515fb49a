# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # display, sound and input; the same as DISPLAY in module_utils/xl/domain/table.py
    DOCUMENTATION = r"""
options:
  vga:
    description: HVM. The emulated graphics card.
    type: str
    choices: ["none", stdvga, cirrus, qxl]
  stdvga:
    description: HVM. Deprecated, see O(vga).
    type: bool
  videoram:
    description: HVM. Memory of the graphics card.
    type: str
  nographic:
    description: HVM. No graphics card.
    type: bool
  vnc:
    description: Offer the display by VNC.
    type: bool
  vnclisten:
    description: Address to listen on, with or without V(:DISPLAY).
    type: str
  vncdisplay:
    description: Number of the display; the port is 5900 more.
    type: int
  vncunused:
    description: Take a port that is free.
    type: bool
  vncpasswd:
    description: Password of VNC. It lies in the file, and is not told in results.
    type: str
  keymap:
    description: Layout of the keyboard, such as V(de).
    type: str
  sdl:
    description: Show the display in an X window of Dom0.
    type: bool
  opengl:
    description: Accelerate that window.
    type: bool
  display:
    description: The X display to use.
    type: str
  xauthority:
    description: Path of the X authority file to use.
    type: str
  spice:
    description: HVM. Offer the display by SPICE.
    type: bool
  spicehost:
    description: Address to listen on.
    type: str
  spiceport:
    description: Port to listen on.
    type: int
  spicetls_port:
    description: Port to listen on with TLS.
    type: int
  spicedisable_ticketing:
    description: No password is needed.
    type: bool
  spicepasswd:
    description: Password of SPICE. It lies in the file, and is not told in results.
    type: str
  spiceagent_mouse:
    description: The agent in the guest moves the mouse.
    type: bool
  spicevdagent:
    description: Offer a channel to the agent in the guest.
    type: bool
  spice_clipboard_sharing:
    description: Share the clipboard.
    type: bool
  spiceusbredirection:
    description: How many USB devices of the client can be used.
    type: int
  spice_image_compression:
    description: How images are compressed.
    type: str
    choices: [auto_glz, auto_lz, quic, glz, lz, "off"]
  spice_streaming_video:
    description: What is streamed as video.
    type: str
    choices: [filter, all, "off"]
  serial:
    description: HVM. Where serial ports lead to, such as V(pty).
    type: raw
  soundhw:
    description: HVM. Sound card, such as V(hda).
    type: str
  vkb_device:
    description: HVM. Has a PV keyboard.
    type: bool
  usb:
    description: HVM. Emulate a USB bus.
    type: bool
  usbversion:
    description: HVM. Version of the emulated USB controller.
    type: int
  usbdevice:
    description: HVM. Devices on the emulated bus, such as V(tablet).
    type: raw
"""
