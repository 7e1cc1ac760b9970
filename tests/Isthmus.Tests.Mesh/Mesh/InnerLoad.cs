using Xunit;

namespace Isthmus.Tests.Mesh.Mesh;

/// <summary>
/// The same load from inside the caller's Pod, so that it goes on while the API server of its cluster is away; what it heard is read
/// when the API server is back. Each request waits for the one before.
/// </summary>
internal sealed class InnerLoad(MeshRig mesh, string cluster) : IAsyncDisposable
{
    private const string File = "/tmp/isthmus-load";

    private bool _runs;

    internal async Task BeginAsync()
    {
        await ScriptAsync(
            $"rm -f {File}*; setsid sh -c 'echo $$ > {File}.pid; exec curl -sS -N -m 10 --rate 25/s -w \"CODE %{{http_code}} %{{errormsg}}\\n\" \"{mesh.Calls.Url}?[1-100000]\"' > {File} 2>&1 < /dev/null & sleep 0.5");
        _runs = true;
    }

    /// <summary>Ends it, and gives what it heard in order: nothing but the code of what was answered, and before other codes what came with them.</summary>
    internal async Task<IReadOnlyList<string>> FinishAsync()
    {
        _runs = false;
        // The number may have become another's only in a new container, whose /tmp is empty.
        var text = await ScriptAsync($"kill $(cat {File}.pid); grep -a 'CODE ' {File}; rm -f {File}*");
        return [.. text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Trim())];
    }

    internal async Task FinishAndCheckAsync(int lost = 0)
    {
        var heard = await FinishAsync();
        var failed = heard.Index().Where(answer => answer.Item != "CODE 200").ToList();
        Assert.True(heard.Count > 0 && failed.Count <= lost,
            $"inside {cluster}: {failed.Count} of {heard.Count} failed, {lost} may, the first: {string.Join("; ", failed.Take(5).Select(answer => $"request {answer.Index}: {answer.Item}"))}");
        MeshRig.Note($"inside {cluster}: {heard.Count} answers, {failed.Count} of them not 200");
    }

    /// <summary>A test that failed may have left its cluster without an API server: that must not hide why it failed.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_runs) await ((Task)FinishAsync()).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private Task<string> ScriptAsync(string script) => mesh.ScriptAsync(cluster, mesh.Calls.Namespace, mesh.Calls.Caller, mesh.Calls.Container, script);
}
