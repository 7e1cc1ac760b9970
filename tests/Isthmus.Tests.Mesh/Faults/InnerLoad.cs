using Isthmus.Tests.Mesh.Meshes;
using Xunit;

namespace Isthmus.Tests.Mesh.Faults;

/// <summary>
/// The same load from inside the caller's Pod, so that it continues while its cluster's API server is down. The answers are
/// read when the API server is back. Each request waits for the one before.
/// </summary>
internal sealed class InnerLoad(MeshRig mesh, string cluster) : IAsyncDisposable
{
    private const string File = "/tmp/isthmus-load";

    private bool _runs;

    internal async Task BeginAsync()
    {
        await ScriptAsync(
            $"rm -f {File}*; setsid sh -c 'echo $$ > {File}.pid; exec curl -sS -N -m 10 --rate 25/s -w \"CODE %{{http_code}} %{{errormsg}}\\n\" "
                + $"\"{mesh.Calls.Url}?[1-100000]\"' > {File} 2>&1 < /dev/null & sleep 0.5");
        _runs = true;
    }

    /// <summary>Ends the load, and returns the answers in order: only the status code if a request was answered, otherwise
    /// the error output before the code.</summary>
    internal async Task<IReadOnlyList<string>> FinishAsync()
    {
        _runs = false;
        // Only in a new container may the PID belong to another process, and then /tmp is empty.
        var text = await ScriptAsync($"kill $(cat {File}.pid); grep -a 'CODE ' {File}; rm -f {File}*");
        return [.. text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Trim())];
    }

    internal async Task FinishAndCheckAsync(int lost = 0)
    {
        var heard = await FinishAsync();
        var failed = heard.Index().Where(answer => answer.Item != "CODE 200").ToList();
        Assert.True(heard.Count > 0 && failed.Count <= lost,
            $"inside {cluster}: {failed.Count} of {heard.Count} failed, {lost} may, the first: "
                + $"{string.Join("; ", failed.Take(5).Select(answer => $"request {answer.Index}: {answer.Item}"))}");
        MeshRig.Note($"inside {cluster}: {heard.Count} answers, {failed.Count} of them not 200");
    }

    /// <summary>Removes the load. A failed test may have left its cluster without an API server, and that must not hide why
    /// the test failed.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_runs) await ((Task)FinishAsync()).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private Task<string> ScriptAsync(string script) => mesh.ScriptAsync(cluster, mesh.Calls.Namespace, mesh.Calls.Caller, mesh.Calls.Container, script);
}
