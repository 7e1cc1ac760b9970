using System.Diagnostics;
using System.Globalization;
using Isthmus.Rigs.Mesh;

namespace Isthmus.Bench;

/// <summary>What one changed VirtualService of many costs the real control plane, and each of the sidecars that see it. Proxies of this program
/// take a route table as a change of the one that they have; others, Envoys among them, take it whole.</summary>
internal static class VirtualServicesBench
{
    private const int Services = 1000, Endpoints = 2, Clients = 300, ClientsPerProcess = 100, WarmUp = 10, Changes = 40;

    /// <summary>Longer than the quiet time after which a change stands alone.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(400), Rest = TimeSpan.FromSeconds(60);

    private sealed record Load(int Namespaces, bool TakesChanges);

    private sealed record Row(int Bytes, double Cpu, double Median, double Slowest, long Later, long Peak);

    internal static async Task RunAsync(string root)
    {
        Console.WriteLine(
            $"control plane: {Services} services with a VirtualService each, {Clients} delta clients; then {Changes} changes of one VirtualService");
        Console.WriteLine("namespaces of clients   route tables   bytes for each client   CPU ms of a change   change → last client: p50 ms   slowest ms"
            + "   MiB a minute later   MiB at most");
        var rows = new Dictionary<Load, Row>();
        foreach (var load in (Load[])[new(1, true), new(200, true), new(1, false), new(200, false)])
        {
            var row = rows[load] = await MeasureAsync(root, load);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{load.Namespaces,21}   {(load.TakesChanges ? "changes" : "whole"),12}   {row.Bytes,21}   {row.Cpu,18:0.0}   {row.Median,28:0.0}   "
                    + $"{row.Slowest,10:0.0}   {row.Later,18}   {row.Peak,11}"));
        }
        foreach (var namespaces in (int[])[1, 200])
        {
            var (changes, whole) = (rows[new(namespaces, true)], rows[new(namespaces, false)]);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"virtual-services-1000-{namespaces}ns, changes to whole tables: CPU {changes.Cpu / whole.Cpu:0.00}, last client "
                    + $"{changes.Median / whole.Median:0.00}, memory {(double)changes.Later / whole.Later:0.00}"));
        }
    }

    private static async Task<Row> MeasureAsync(string root, Load load)
    {
        var content = new MeshLoad(Services, Endpoints, Teams: load.Namespaces == 1 ? 0 : load.Namespaces, Routed: true);
        await using var plane = await LoadedControlPlane.StartAsync(ControlPlaneBench.Program(root), content, heapMegabytes: 0, CancellationToken.None);
        var groups = new List<Process>();
        try
        {
            for (var from = 0; from < Clients; from += ClientsPerProcess)
                groups.Add(ControlPlaneBench.StartClients(from, ClientsPerProcess, delta: true, load.Namespaces, load.TakesChanges));
            foreach (var group in groups) await ControlPlaneBench.ReadSizedAsync(group, "complete");
            var (times, bytes, cpu) = (new double[Changes], 0, 0.0);
            for (var change = -WarmUp; change < Changes; change++)
            {
                if (change == 0) cpu = ControlPlaneBench.Cpu(plane);
                await Task.Delay(Pause);
                var changed = Stopwatch.GetTimestamp();
                await plane.RouteAsync((change + WarmUp) * 7 % Services, 10 + change + WarmUp, CancellationToken.None);
                var last = changed;
                foreach (var group in groups)
                {
                    var seen = await ControlPlaneBench.ReadSizedAsync(group, "routes");
                    (last, bytes) = (Math.Max(last, seen.At), Math.Max(bytes, seen.Bytes));
                }
                if (change >= 0) times[change] = Stopwatch.GetElapsedTime(changed, last).TotalMilliseconds;
            }
            cpu = (ControlPlaneBench.Cpu(plane) - cpu) / Changes * 1000;
            Array.Sort(times);
            await Task.Delay(Rest);
            plane.Process.Refresh();
            return new(bytes, cpu, ControlPlaneBench.Percentile(times, 50), times[^1], plane.Process.WorkingSet64 >> 20, plane.Process.PeakWorkingSet64 >> 20);
        }
        finally
        {
            await ControlPlaneBench.EndAsync(groups);
        }
    }
}
