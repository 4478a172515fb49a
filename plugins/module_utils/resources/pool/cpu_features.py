# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""CPU feature sets as XenAPI writes them, and what a pool loses when a host with other CPUs joins.

Words and bits: Xen, xen/include/public/arch-x86/cpufeatureset.h; names as in /proc/cpuinfo.
"""

from __future__ import annotations

import typing as t

Record = t.Mapping[str, t.Any]
# one word of 32 bits each, bit 0 first, "." for a bit without a name
_NAMES = """
    fpu vme de pse tsc msr pae mce cx8 apic . sep mtrr pge mca cmov pat pse36 pn clflush . dts acpi mmx fxsr sse sse2 ss ht tm ia64 pbe;
    pni pclmulqdq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 cid sdbg fma cx16 xtpr pdcm . pcid dca sse4_1 sse4_2 x2apic movbe popcnt
    tsc_deadline_timer aes xsave osxsave avx f16c rdrand hypervisor;
    . . . . . . . . . . . syscall . . . . . . . mp nx . mmxext . . fxsr_opt pdpe1gb rdtscp . lm 3dnowext 3dnow;
    lahf_lm cmp_legacy svm extapic cr8_legacy abm sse4a misalignsse 3dnowprefetch osvw ibs xop skinit wdt . lwp fma4 tce . nodeid_msr
    . tbm topoext perfctr_core perfctr_nb . bpext ptsc perfctr_llc mwaitx;
    xsaveopt xsavec xgetbv1 xsaves;
    fsgsbase tsc_adjust sgx bmi1 hle avx2 fdp_excptn_only smep bmi2 erms invpcid rtm cqm . mpx rdt_a avx512f avx512dq rdseed adx smap
    avx512ifma . clflushopt clwb intel_pt avx512pf avx512er avx512cd sha_ni avx512bw avx512vl;
    prefetchwt1 avx512vbmi umip pku ospke waitpkg avx512_vbmi2 cet_ss gfni vaes vpclmulqdq avx512_vnni avx512_bitalg tme
    avx512_vpopcntdq . la57 . . . . . rdpid . . cldemote . movdiri movdir64b enqcmd;
    . . . . . . . . constant_tsc . efro;
    clzero . rstr_fp_err_ptrs . . . . . . wbnoinvd . . amd_ibpb . amd_ibrs amd_stibp . . . . . . . . amd_ssbd virt_ssbd;
    . . avx512_4vnniw avx512_4fmaps fsrm . . . avx512_vp2intersect . md_clear . . . serialize hybrid_cpu . . pconfig . cet_ibt .
    amx_bf16 avx512_fp16 amx_tile amx_int8 spec_ctrl intel_stibp flush_l1d arch_capabilities core_capabilities ssbd
"""
WORDS = tuple(word.split() for word in _NAMES.split(";"))


def bits(features: str) -> set[int]:
    """The bits of a feature set such as "178bfbff-f6d83203", numbered through."""
    words = [int(word, 16) for word in features.split("-") if word]
    return {32 * n + bit for n, word in enumerate(words) for bit in range(32) if word >> bit & 1}


def names(of: t.Iterable[int]) -> list[str]:
    """Their names, as far as they have one."""
    out = []
    for number in sorted(of):
        word, bit = divmod(number, 32)
        row = WORDS[word] if word < len(WORDS) else []
        if bit < len(row) and row[bit] != ".":
            out.append(row[bit])
    return out


def offered(cpu_info: Record) -> set[int]:
    """What a host or a pool can offer its HVM guests. Releases before 7.3 have one set for all kinds."""
    return bits(next((cpu_info[key] for key in ("features_hvm_host", "features_hvm", "features") if cpu_info.get(key)), ""))


def warnings(host: str, joiner: Record, pool: Record, level: set[int]) -> list[str]:
    """What levelling does when a host with this cpu_info joins a pool that offers level: sentences for the administrator."""
    out, mine = [], offered(joiner)
    if joiner.get("vendor") != pool.get("vendor"):
        out.append(
            f"Host {host!r} has CPUs of {joiner.get('vendor')}, the pool of {pool.get('vendor')}: "
            "no VM can be migrated live between them, not even to evacuate a host."
        )
    if lost := names(level - mine):
        out.append(
            f"With host {host!r} the pool no longer offers its VMs these CPU features: {', '.join(lost)}. "
            "VMs that run now keep them and cannot be migrated to it before they are stopped and started."
        )
    if lost := names(mine - level):
        out.append(f"In the pool host {host!r} no longer offers its VMs these CPU features: {', '.join(lost)}.")
    return out
