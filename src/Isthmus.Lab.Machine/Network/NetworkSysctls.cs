
namespace Isthmus.Lab.Machine.Network;

/// <summary>
/// The kernel settings that the lab writes. Each belongs to a network namespace (that of the calling thread). You cannot
/// write other settings through this class: as root, they would change the whole machine.
/// </summary>
internal static class NetworkSysctls
{
    private const string Root = "/proc/sys/net/";

    internal static void Forward() => Write("ipv4/ip_forward", "1");

    internal static void AllowLowPorts() => Write("ipv4/ip_unprivileged_port_start", "0");

    /// <summary>Bridged frames must not pass the IP hooks of the namespace that only switches them. The setting is absent
    /// if br_netfilter is not loaded.</summary>
    internal static void KeepBridgeOutOfNetfilter() => TryWrite("bridge/bridge-nf-call-iptables", "0");

    /// <summary>Allows programs without capabilities to ping. In a user namespace, only mapped groups can be set.</summary>
    internal static void AllowPing()
    {
        if (!TryWrite("ipv4/ping_group_range", "0 2147483647") && !TryWrite("ipv4/ping_group_range", "0 65535")) TryWrite("ipv4/ping_group_range", "0 0");
    }

    /// <summary>Turns off strict reverse path filtering: on the point-to-point Pod links, replies may leave by another
    /// interface than the filter expects.</summary>
    internal static void DisableReversePathFilter()
    {
        Write("ipv4/conf/all/rp_filter", "0");
        Write("ipv4/conf/default/rp_filter", "0");
    }

    private static void Write(string key, string value)
    {
        try
        {
            File.WriteAllText(Root + key, value);
        }
        catch (UnauthorizedAccessException e)
        {
            throw new IOException($"{Root}{key} cannot be written: {e.Message}", e);
        }
    }

    private static bool TryWrite(string key, string value)
    {
        try
        {
            File.WriteAllText(Root + key, value);
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}
