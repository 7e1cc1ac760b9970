using Isthmus.Rigs.Mesh;
using Isthmus.Tests.Mesh.Lab;
using Xunit;

namespace Isthmus.Tests.Mesh.Discovery;

/// <summary>Every proxy connects at once, as after a restart of the control plane.</summary>
[Trait("shard", "cluster")]
public sealed class BurstTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public Task Proxies_at_once_fit_into_a_small_heap() => AllCompleteAsync(150, services: 400, heapMegabytes: 128);

    [Fact]
    [Trait("runs", "soak")]
    public Task Five_hundred_proxies_at_once_fit_into_300_MiB() => AllCompleteAsync(500, services: 1000, heapMegabytes: 300);

    [Fact]
    [Trait("runs", "soak")]
    public async Task Memory_goes_back_after_a_burst()
    {
        await using var plane = await LoadedControlPlane.StartAsync(BuiltProgram.Command.With(), new(1000, 10), heapMegabytes: 0, Stop);
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        // State of the world takes more memory on its way.
        var clients = Enumerable.Range(0, 100).Select(i => new DiscoveryClient(LoadedControlPlane.Address, i, delta: false)).ToList();
        var running = clients.Select(client => client.RunAsync(ended.Token)).ToList();
        await Task.WhenAll(clients.Select(client => client.Complete));
        do
        {
            await Task.Delay(500, Stop);
            plane.Process.Refresh();
            Assert.False(plane.Process.HasExited, plane.Log);
        }
        while (plane.Process.WorkingSet64 > plane.Process.PeakWorkingSet64 * 3 / 4);
        await ended.CancelAsync();
        await Task.WhenAll(running);
    }

    private static async Task AllCompleteAsync(int proxies, int services, int heapMegabytes)
    {
        await using var plane = await LoadedControlPlane.StartAsync(BuiltProgram.Command.With(), new(services, 10), heapMegabytes, Stop);
        foreach (var delta in (bool[])[true, false])
        {
            using var ended = CancellationTokenSource.CreateLinkedTokenSource(Stop);
            var clients = Enumerable.Range(0, proxies).Select(i => new DiscoveryClient(LoadedControlPlane.Address, i, delta)).ToList();
            var running = clients.Select(client => client.RunAsync(ended.Token)).ToList();
            try
            {
                await Task.WhenAll(clients.Select(client => client.Complete));
            }
            catch (Exception e) when (!Stop.IsCancellationRequested)
            {
                Assert.Fail($"{clients.Count(client => client.Complete.IsCompletedSuccessfully)} of {proxies} proxies are complete: {e.Message}\n{plane.Log}");
            }
            // The services, and kubernetes.default.
            Assert.All(clients, client => Assert.Equal(services + 1, client.First.Endpoints));
            plane.Process.Refresh();
            TestContext.Current.TestOutputHelper?.WriteLine(
                $"{(delta ? "delta" : "state of the world")}: resident {plane.Process.WorkingSet64 >> 20} MiB, at most {plane.Process.PeakWorkingSet64 >> 20} "
                    + $"MiB; {plane.Process.TotalProcessorTime.TotalSeconds:0.0} s of CPU");
            Assert.False(plane.Process.HasExited, plane.Log);
            await ended.CancelAsync();
            await Task.WhenAll(running);
        }
    }
}
