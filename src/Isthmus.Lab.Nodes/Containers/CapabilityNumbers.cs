namespace Isthmus.Lab.Nodes.Containers;

/// <summary>The kernel's numbers of the capabilities that a container can have.</summary>
internal static class CapabilityNumbers
{
    private static readonly Dictionary<string, int> Numbers = new(StringComparer.Ordinal)
    {
        ["chown"] = 0, ["dac_override"] = 1, ["fowner"] = 3, ["fsetid"] = 4, ["kill"] = 5, ["setgid"] = 6, ["setuid"] = 7, ["setpcap"] = 8,
        ["net_bind_service"] = 10, ["net_broadcast"] = 11, ["net_admin"] = 12, ["net_raw"] = 13, ["ipc_lock"] = 14, ["sys_chroot"] = 18,
        ["sys_ptrace"] = 19, ["sys_nice"] = 23, ["audit_write"] = 29, ["setfcap"] = 31,
    };

    internal static ulong MaskOf(IEnumerable<string> names)
    {
        var mask = 0UL;
        foreach (var name in names) mask |= 1UL << Numbers[name];
        return mask;
    }
}
