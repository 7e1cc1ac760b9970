using System.Diagnostics;
using System.Globalization;
using Isthmus.Rigs.Mesh;

namespace Isthmus.Bench;

/// <summary>Many proxies connect at once to the real control plane, and then follow changes of endpoints. The clients run in
/// processes of their own.</summary>
internal static class ControlPlaneBench
{
    private const int Services = 1000, Endpoints = 10, Changes = 100, ClientsPerProcess = 125;
    private static readonly TimeSpan Rest = TimeSpan.FromSeconds(60);

    /// <summary>What is measured in one control plane.</summary>
    /// <param name="Namespaces">The clients are spread over so many; 1: they are in that of the services.</param>
    private sealed record Load(int Clients, bool Delta, int Namespaces = 1, TeamObject Objects = TeamObject.None)
    {
        public string Where => Objects == TeamObject.None ? $"{Namespaces}" : $"{Namespaces}, a {Objects} in each";
    }

    private sealed record Row(Load Load, double Complete, double Median, double Ninety9, double Slowest, long Later, long Peak, double Cpu, double ChangeCpu);

    /// <summary>How long a control plane takes to be ready for a cluster with many Pods.</summary>
    internal static async Task RunColdAsync(string root)
    {
        await using var plane = await LoadedControlPlane.StartAsync(Program(root), new(Services, Endpoints, Pods: true), heapMegabytes: 0,
            CancellationToken.None);
        plane.Process.Refresh();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"cold start with {Services * Endpoints} Pods: ready after {plane.ReadyAfter.TotalSeconds:0.0} s, "
                + $"{plane.Process.TotalProcessorTime.TotalSeconds:0.0} s of CPU, {plane.Process.PeakWorkingSet64 >> 20} MiB at most"));
    }

    /// <summary>What changes of endpoints cost while the control plane watches other clusters, too.</summary>
    internal static async Task RunRemotesAsync(string root)
    {
        const int remotes = 10, clients = 100, changes = 25;
        await using var plane = await LoadedControlPlane.StartAsync(Program(root), new(Services, Endpoints, Remotes: remotes), heapMegabytes: 0,
            CancellationToken.None);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{remotes} remote clusters with {Services} services each: ready after {plane.ReadyAfter.TotalSeconds:0.0} s, {Cpu(plane):0.0} s of CPU"));
        var group = StartClients(0, clients, delta: true);
        try
        {
            await ReadAsync(group, "complete");
            // Until the remote clusters are stored.
            await Task.Delay(Second * 30);
            var rest = Cpu(plane);
            await Task.Delay(Second * changes);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{changes} s without changes: {Cpu(plane) - rest:0.00} s of CPU"));
            // In the first round, the runtime optimizes what the start and the first changes needed.
            var cpu = 0.0;
            for (var round = 0; round < 3; round++)
            {
                var before = Cpu(plane);
                var times = new double[changes];
                for (var i = 0; i < changes; i++)
                {
                    var number = round * changes + i;
                    var changed = Stopwatch.GetTimestamp();
                    var next = Task.Delay(Second);
                    await plane.ChangeAsync(number * 7 % Services, $"10.250.0.{number + 1}", CancellationToken.None, remote: number % (remotes + 1));
                    times[i] = Stopwatch.GetElapsedTime(changed, await ReadAsync(group)).TotalMilliseconds;
                    await next;
                }
                cpu = Cpu(plane) - before;
                Array.Sort(times);
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                    $"{changes} changes, one a second, each in the next cluster, with {clients} delta clients: {cpu:0.00} s of CPU, to the last client in "
                        + $"{Percentile(times, 50):0} ms (p50) and {times[^1]:0} ms (the slowest), {plane.Process.WorkingSet64 >> 20} MiB"));
            }
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"remotes-10-cpu: {cpu:0.00} s"));
        }
        finally
        {
            await EndAsync([group]);
        }
    }

    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    internal static double Cpu(LoadedControlPlane plane)
    {
        plane.Process.Refresh();
        return plane.Process.TotalProcessorTime.TotalSeconds;
    }

    /// <summary>The smallest of the sorted times that so many percent do not exceed.</summary>
    internal static double Percentile(double[] times, int percent) => times[((times.Length * percent) + 99) / 100 - 1];

    /// <param name="counts">How many clients there are in each row, comma-separated; <c>namespaces</c>: 500 in one namespace and in many.</param>
    internal static async Task RunAsync(string root, string counts)
    {
        Console.WriteLine(
            $"control plane: {Services} services with {Endpoints} endpoints each; all clients connect at once; then {Changes} changes of one service's "
                + $"endpoints");
        Console.WriteLine("clients  protocol   complete s   change → last client: p50 ms   p99 ms   slowest ms   MiB a minute later   MiB at most   CPU s"
            + "   CPU ms per client and change   namespaces of clients");
        var rows = new List<Row>();
        foreach (var load in counts == "namespaces"
            ? Spread
            : counts.Split(',').Select(count => int.Parse(count, CultureInfo.InvariantCulture)).SelectMany(InOneNamespace))
        {
            var row = await MeasureAsync(root, load);
            rows.Add(row);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{load.Clients,7}  {(load.Delta ? "delta" : "SotW"),-8}   {row.Complete,10:0.0}   {row.Median,28:0}   {row.Ninety9,6:0}   {row.Slowest,10:0}  "
                    + $" {row.Later,18}   {row.Peak,11}   {row.Cpu,5:0.0}   {row.ChangeCpu / load.Clients / Changes * 1000,28:0.000}   {load.Where}"));
        }
        if (rows.Find(row => row.Load == new Load(500, true)) is { } middle)
        {
            Console.WriteLine($"memory-500: {middle.Later} MiB");
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"cpu-500: {middle.Cpu:0.0} s"));
        }
        if (rows.Find(row => row.Load == new Load(1000, true)) is { } largest)
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"change-1000-p99: {largest.Ninety9:0} ms"));
        if (rows.Find(row => row.Load == Spread[^1]) is { } spread)
        {
            Console.WriteLine($"memory-500-200ns: {spread.Later} MiB");
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"cpu-500-200ns: {spread.Cpu:0.0} s"));
        }
    }

    private static IEnumerable<Load> InOneNamespace(int clients) => [new(clients, true), new(clients, false)];

    private static Load[] Spread { get; } =
    [
        new(500, true), new(500, true, 20), new(500, true, 200, TeamObject.Sidecar), new(500, true, 200, TeamObject.VirtualService), new(500, true, 200),
    ];

    internal static string[] Program(string root) => ["dotnet", Path.Combine(root, "artifacts/bin/isthmus/release/isthmus.dll")];

    private static async Task<Row> MeasureAsync(string root, Load load)
    {
        var (clients, delta) = (load.Clients, load.Delta);
        var content = new MeshLoad(Services, Endpoints, Teams: load.Namespaces == 1 ? 0 : load.Namespaces, TeamObject: load.Objects);
        await using var plane = await LoadedControlPlane.StartAsync(Program(root), content, heapMegabytes: 0, CancellationToken.None);
        var before = plane.Process.TotalProcessorTime;
        var begun = Stopwatch.GetTimestamp();
        var groups = new List<Process>();
        try
        {
            for (var from = 0; from < clients; from += ClientsPerProcess)
                groups.Add(StartClients(from, Math.Min(ClientsPerProcess, clients - from), delta, load.Namespaces));
            var complete = begun;
            foreach (var group in groups) complete = Math.Max(complete, await ReadAsync(group, "complete"));

            plane.Process.Refresh();
            var first = plane.Process.TotalProcessorTime;
            var times = new double[Changes];
            for (var i = 0; i < Changes; i++)
            {
                var changed = Stopwatch.GetTimestamp();
                var address = $"10.250.{i / 250}.{i % 250 + 1}";
                await plane.ChangeAsync(i * 7 % Services, address, CancellationToken.None);
                var last = changed;
                foreach (var group in groups) last = Math.Max(last, await ReadAsync(group, address));
                times[i] = Stopwatch.GetElapsedTime(changed, last).TotalMilliseconds;
            }
            Array.Sort(times);
            plane.Process.Refresh();
            var end = plane.Process.TotalProcessorTime;
            await Task.Delay(Rest);
            plane.Process.Refresh();
            return new(load, Stopwatch.GetElapsedTime(begun, complete).TotalSeconds, Percentile(times, 50), Percentile(times, 99), times[^1],
                plane.Process.WorkingSet64 >> 20, plane.Process.PeakWorkingSet64 >> 20, (end - before).TotalSeconds, (end - first).TotalSeconds);
        }
        finally
        {
            await EndAsync(groups);
        }
    }

    internal static async Task EndAsync(IEnumerable<Process> groups)
    {
        foreach (var group in groups)
        {
            group.Kill();
            await group.WaitForExitAsync();
            group.Dispose();
        }
    }

    internal static Process StartClients(int first, int count, bool delta, int namespaces = 1, bool takesHosts = false)
    {
        string[] arguments = [typeof(ControlPlaneBench).Assembly.Location, "control-plane-clients", $"{first},{count},{delta},{namespaces},{takesHosts}"];
        return Process.Start(new ProcessStartInfo("dotnet", arguments) { RedirectStandardOutput = true })
            ?? throw new InvalidOperationException("the clients did not start");
    }

    /// <summary>The time stamp of the group's last client.</summary>
    /// <param name="what">What is due; null: the endpoints of a service that has more than the changed ones.</param>
    private static async Task<long> ReadAsync(Process group, string? what = null) => (await ReadSizedAsync(group, what)).At;

    /// <summary>The time stamp of the group's last client, and the size of the largest response.</summary>
    internal static async Task<(long At, int Bytes)> ReadSizedAsync(Process group, string? what)
    {
        var line = await group.StandardOutput.ReadLineAsync() ?? throw new InvalidOperationException("the clients ended");
        var words = line.Split(' ');
        return what is null || words[0] == what
            ? (long.Parse(words[1], CultureInfo.InvariantCulture), int.Parse(words[2], CultureInfo.InvariantCulture))
            : throw new InvalidOperationException($"'{line}' instead of '{what}'");
    }

    /// <summary>The process of some clients: prints when the last of them is complete, and when the last has each change.</summary>
    internal static async Task RunClientsAsync(string arguments)
    {
        var words = arguments.Split(',');
        var (first, count, delta, namespaces) = (int.Parse(words[0], CultureInfo.InvariantCulture), int.Parse(words[1], CultureInfo.InvariantCulture),
            bool.Parse(words[2]), int.Parse(words[3], CultureInfo.InvariantCulture));
        var clients = Enumerable.Range(first, count)
            .Select(number => new DiscoveryClient(LoadedControlPlane.Address, number, delta, NamespaceOf(number), bool.Parse(words[4]))).ToList();
        string NamespaceOf(int number) => namespaces == 1 ? LoadedControlPlane.Namespace : LoadedControlPlane.Team(number % namespaces);
        var running = clients.Select(client => client.RunAsync(CancellationToken.None)).ToList();
        await Task.WhenAll(clients.Select(client => client.Complete));
        Console.WriteLine($"complete {Stopwatch.GetTimestamp()} 0");
        while (true)
        {
            var changes = await Task.WhenAll(clients.Select(client => client.Changes.ReadAsync(CancellationToken.None).AsTask()));
            Console.WriteLine($"{changes[0].What} {changes.Max(change => change.At)} {changes.Max(change => change.Bytes)}");
        }
    }
}
