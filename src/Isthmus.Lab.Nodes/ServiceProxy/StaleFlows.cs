using System.Diagnostics;
using System.Net;
using Isthmus.Core.Collections;
using Isthmus.Lab.Machine.Linux;

namespace Isthmus.Lab.Nodes.ServiceProxy;

/// <summary>UDP flows that the kernel still sends to a removed endpoint. TCP connections end by themselves.</summary>
/// <param name="Endpoint">Null for every flow to the address, because the flows had no usable endpoint before.</param>
internal sealed record StaleFlow(IPAddress Address, int Port, IPAddress? Endpoint);

internal static class StaleFlows
{
    /// <summary>The flows to delete when the table changes from one state to the next. Pass null for an unknown state, as
    /// after a restart.</summary>
    internal static ValueList<StaleFlow> Between(ValueList<ServicePortRule>? before, ValueList<ServicePortRule> after, IPAddress nodeAddress)
    {
        var old = (before ?? []).Where(port => port.Protocol == "udp").ToDictionary(port => port.Name, StringComparer.Ordinal);
        var stale = new List<StaleFlow>();
        foreach (var port in after.Where(port => port.Protocol == "udp"))
        {
            if (!old.Remove(port.Name, out var earlier) || earlier.Targets.IsEmpty)
            {
                stale.AddRange(Fronts(port, nodeAddress).Select(front => new StaleFlow(front.Address, front.Port, null)));
                continue;
            }
            foreach (var gone in earlier.Targets.Except(port.Targets))
            {
                stale.AddRange(Fronts(earlier, nodeAddress).Select(front => new StaleFlow(front.Address, front.Port, gone.Address)));
            }
        }
        stale.AddRange(old.Values.SelectMany(port => Fronts(port, nodeAddress)).Select(front => new StaleFlow(front.Address, front.Port, null)));
        return stale.Distinct().ToValueList();
    }

    /// <param name="network">Null for the namespace of this process.</param>
    /// <exception cref="IOException">The program failed for another reason than finding nothing.</exception>
    internal static async Task ForgetAsync(StaleFlow flow, CancellationToken stop, NamespaceHandle? network = null)
    {
        string[] arguments = ["-D", "-p", "udp", "--orig-dst", flow.Address.ToString(), "--orig-port-dst", flow.Port.ToString()];
        if (flow.Endpoint is { } endpoint) arguments = [.. arguments, "--reply-src", endpoint.ToString()];
        var start = new ProcessStartInfo("conntrack", arguments) { RedirectStandardError = true, RedirectStandardOutput = true };
        start.Environment["PATH"] = $"{Environment.GetEnvironmentVariable("PATH")}:/usr/sbin:/sbin";
        using var conntrack = network is null ? Process.Start(start)! : NamespaceThread.Run(network, () => Process.Start(start)!);
        var output = conntrack.StandardOutput.ReadToEndAsync(stop);
        var errors = await conntrack.StandardError.ReadToEndAsync(stop);
        await output;
        await conntrack.WaitForExitAsync(stop);
        // Exit code 1 also means that there was nothing to delete. Then the output contains a count.
        if (conntrack.ExitCode != 0 && !errors.Contains("flow entries have been deleted", StringComparison.Ordinal))
        {
            throw new IOException($"conntrack {string.Join(' ', arguments)}: {errors.Trim()}");
        }
    }

    private static IEnumerable<(IPAddress Address, int Port)> Fronts(ServicePortRule port, IPAddress nodeAddress)
    {
        foreach (var address in port.ClusterAddresses.Concat(port.OuterAddresses)) yield return (address, port.Port);
        if (port.NodePort > 0) yield return (nodeAddress, port.NodePort);
    }
}
