using System.Diagnostics;
using System.Globalization;
using Isthmus.Rigs.Mesh;

namespace Isthmus.Bench;

/// <summary>What one changed VirtualService of many costs the real control plane, and each of the sidecars that see it. Proxies of this program
/// take virtual hosts as resources of their own; others, Envoys among them, take whole route tables.</summary>
internal static class VirtualServicesBench
{
    // In the warm-up, the runtime optimizes what it needs, in two steps of 30 calls each: some methods are called once for a change.
    private const int Services = 1000, Endpoints = 2, ClientsPerProcess = 100, WarmUp = 80, Changes = 20;

    /// <summary>Longer than the quiet time after which a change stands alone.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(400), Rest = TimeSpan.FromSeconds(60);

    /// <param name="Before">It is the control plane of another clone.</param>
    private sealed record Load(int Clients, int Namespaces, bool TakesHosts, bool Before = false)
    {
        public string Tables => Before ? "whole, before" : TakesHosts ? "hosts" : "whole";
    }

    private sealed record Row(int Bytes, double Cpu, double Median, double Slowest, long Later, long Peak);

    private static (int Clients, int Namespaces)[] Meshes { get; } = [(300, 1), (300, 200), (1000, 1)];

    /// <param name="before">The directory of another clone, whose control plane is measured, too; null: there is none.</param>
    internal static async Task RunAsync(string root, string? before)
    {
        Console.WriteLine($"control plane: {Services} services with a VirtualService each, delta clients; then {Changes} changes of one VirtualService");
        Console.WriteLine("clients   their namespaces    route tables   bytes for each client   CPU ms of a change   change → last client: p50 ms"
            + "   slowest ms   MiB a minute later   MiB at most");
        foreach (var (clients, namespaces) in Meshes)
        {
            var hosts = await PrintAsync(root, new(clients, namespaces, TakesHosts: true));
            Compare(clients, namespaces, hosts, await PrintAsync(root, new(clients, namespaces, TakesHosts: false)), "whole tables");
            if (before is not null)
                Compare(clients, namespaces, hosts, await PrintAsync(before, new(clients, namespaces, TakesHosts: false, Before: true)), "those before");
        }
    }

    private static async Task<Row> PrintAsync(string root, Load load)
    {
        var row = await MeasureAsync(root, load);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{load.Clients,7}   {load.Namespaces,16}   {load.Tables,13}   {row.Bytes,21}   {row.Cpu,18:0.0}   {row.Median,28:0.0}   "
                + $"{row.Slowest,10:0.0}   {row.Later,18}   {row.Peak,11}"));
        return row;
    }

    private static void Compare(int clients, int namespaces, Row hosts, Row other, string what) => Console.WriteLine(string.Create(
        CultureInfo.InvariantCulture,
        $"virtual-services-1000-{clients}-{namespaces}ns, hosts to {what}: CPU {hosts.Cpu / other.Cpu:0.000}, last client "
            + $"{hosts.Median / other.Median:0.00}, memory {(double)hosts.Later / other.Later:0.00}"));

    private static async Task<Row> MeasureAsync(string root, Load load)
    {
        var content = new MeshLoad(Services, Endpoints, Teams: load.Namespaces == 1 ? 0 : load.Namespaces, Routed: true);
        await using var plane = await LoadedControlPlane.StartAsync(ControlPlaneBench.Program(root), content, heapMegabytes: 0, CancellationToken.None);
        var groups = new List<Process>();
        try
        {
            for (var from = 0; from < load.Clients; from += ClientsPerProcess)
                groups.Add(ControlPlaneBench.StartClients(from, ClientsPerProcess, delta: true, load.Namespaces, load.TakesHosts));
            foreach (var group in groups) await ControlPlaneBench.ReadSizedAsync(group, "complete");
            var (times, bytes, cpu) = (new double[Changes], 0, 0.0);
            for (var change = -WarmUp; change < Changes; change++)
            {
                if (change == 0) cpu = ControlPlaneBench.Cpu(plane);
                var changed = Stopwatch.GetTimestamp();
                await plane.RouteAsync((change + WarmUp) * 7 % Services, 10 + change + WarmUp, CancellationToken.None);
                var last = changed;
                foreach (var group in groups)
                {
                    var seen = await ControlPlaneBench.ReadSizedAsync(group, "routes");
                    (last, bytes) = (Math.Max(last, seen.At), Math.Max(bytes, seen.Bytes));
                }
                // What comes after the change, such as its acknowledgments, is a part of its cost.
                await Task.Delay(Pause);
                if (change >= 0) times[change] = Stopwatch.GetElapsedTime(changed, last).TotalMilliseconds;
            }
            cpu = (ControlPlaneBench.Cpu(plane) - cpu) / Changes * 1000;
            Array.Sort(times);
            await Task.Delay(Rest);
            plane.Process.Refresh();
            return new(bytes, cpu, ControlPlaneBench.Percentile(times, 50), times[^1], plane.Process.WorkingSet64 >> 20,
                plane.Process.PeakWorkingSet64 >> 20);
        }
        finally
        {
            await ControlPlaneBench.EndAsync(groups);
        }
    }
}
