using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using Isthmus.Core.Problems;

namespace Isthmus.Proxy.EnvoyPlane;

/// <summary>The program of Envoy as a child of its agent. It writes to the agent's output.</summary>
internal sealed class EnvoyProcess : IDisposable
{
    private const string Source = "PROXY_CONFIG binaryPath";
    private const string Remedy =
        "name a program of Envoy that is in the container's image ('isthmus image --with-envoy FILE' puts one at /usr/local/bin/envoy), or remove the field: "
            + "then the proxy is Isthmus' own";

    private readonly Process _process;
    private readonly string _path;

    private EnvoyProcess(Process process, string path) => (_process, _path) = (process, path);

    /// <exception cref="ProblemException">There is no such program, or it cannot be run here.</exception>
    public static EnvoyProcess Start(string path, IReadOnlyList<string> arguments)
    {
        if (!File.Exists(path)) throw new ProblemException(Source, $"there is no file {path}", Remedy);
        try
        {
            return new(Process.Start(new ProcessStartInfo(path, arguments) { UseShellExecute = false })!, path);
        }
        catch (Win32Exception e)
        {
            throw new ProblemException(Source, $"{path} cannot be run: {e.Message}", Remedy, e);
        }
    }

    public Task WaitAsync(CancellationToken stop) => _process.WaitForExitAsync(stop);

    /// <summary>The end of a process that nobody has asked to end.</summary>
    /// <param name="wasReady">Whether it had served.</param>
    /// <param name="isPatched">Whether EnvoyFilters change its bootstrap.</param>
    public ProblemException Ended(bool wasReady, bool isPatched = false)
    {
        // The runtime adds 128 to the number of a signal.
        var how = _process.ExitCode > 128
            ? $"was killed by signal {(_process.ExitCode - 128).ToString(CultureInfo.InvariantCulture)}"
            : $"ended with exit status {_process.ExitCode.ToString(CultureInfo.InvariantCulture)}";
        return new(_path, $"Envoy {how}{(wasReady ? "" : " before it was ready")}",
            wasReady ? "its own messages are above; the container restarts"
            : isPatched ? "its own messages are above; EnvoyFilters change its bootstrap (applyTo: BOOTSTRAP): correct or remove them if it does not take that"
            : $"its own messages are above; is it Envoy? {Remedy}");
    }

    public void Kill()
    {
        if (!_process.HasExited) _process.Kill();
    }

    public void Dispose()
    {
        Kill();
        _process.Dispose();
    }
}
