using System.Diagnostics;

namespace Isthmus.Bench.Proxies;

/// <summary>A network next to that of this process, as two Pods have it: connected by a pair of virtual Ethernet devices.</summary>
internal sealed class OtherNetwork : IAsyncDisposable
{
    private readonly Process _holder;

    private OtherNetwork(Process holder) => _holder = holder;

    /// <summary>The address of the other network, seen from this one.</summary>
    internal const string Address = "10.99.0.2";

    /// <summary>A process in the other network.</summary>
    internal int Holder => _holder.Id;

    internal static async Task<OtherNetwork> CreateAsync()
    {
        var own = new FileInfo("/proc/self/ns/net").LinkTarget;
        var other = new OtherNetwork(Process.Start("unshare", ["--net", "sleep", "infinity"]));
        while (new FileInfo($"/proc/{other.Holder}/ns/net").LinkTarget == own) await Task.Delay(10);
        await RunAsync("ip", "link", "add", "bench0", "type", "veth", "peer", "name", "bench0", "netns", $"{other.Holder}");
        await RunAsync("ip", "address", "add", "10.99.0.1/30", "dev", "bench0");
        await RunAsync("ip", "link", "set", "bench0", "up");
        string[] inside = [$"--net=/proc/{other.Holder}/ns/net", "ip"];
        await RunAsync("nsenter", [.. inside, "link", "set", "lo", "up"]);
        await RunAsync("nsenter", [.. inside, "address", "add", $"{Address}/30", "dev", "bench0"]);
        await RunAsync("nsenter", [.. inside, "link", "set", "bench0", "up"]);
        return other;
    }

    public async ValueTask DisposeAsync()
    {
        _holder.Kill();
        await _holder.WaitForExitAsync();
        _holder.Dispose();
    }

    private static async Task RunAsync(string program, params string[] arguments)
    {
        using var process = Process.Start(program, arguments);
        await process.WaitForExitAsync();
        if (process.ExitCode != 0) throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} ended with {process.ExitCode}");
    }
}
