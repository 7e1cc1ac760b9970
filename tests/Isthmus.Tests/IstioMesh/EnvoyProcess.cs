using System.Diagnostics;
using System.Net;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.IstioMesh;

/// <summary>A real Envoy with the configuration that Istio gives a sidecar or gateway, on a loopback address of its Pod.</summary>
internal sealed class EnvoyProcess : IDisposable
{
    private static readonly string[] Files = ["bootstrap.json", "cds.json", "eds.json", "rds.json", "lds.json", "sds-default.json", "sds-root.json"];

    private readonly Process _process;

    private EnvoyProcess(Process process) => _process = process;

    /// <summary>Leaves a test out where there is no Envoy.</summary>
    internal static void IsNeeded() => Assert.SkipWhen(RealEnvoy.Find() is null, RealEnvoy.Missing);

    /// <param name="values">What stands for the words of <c>envoy.yaml</c> that begin with a dollar sign.</param>
    internal static EnvoyProcess Start(string folder, IstioRelease release, IReadOnlyDictionary<string, string> values)
    {
        Directory.CreateDirectory(folder);
        var text = release.Adapt(File.ReadAllText(Repository.At("tests/Isthmus.Tests/IstioMesh/envoy.yaml")));
        foreach (var (name, value) in values.Append(new("DIR", folder)).OrderByDescending(pair => pair.Key.Length))
            text = text.Replace($"${name}", value, StringComparison.Ordinal);
        foreach (var (name, document) in Files.Zip(YamlText.ParseAll(text, "envoy.yaml").OfType<JsonObject>()))
            File.WriteAllText(Path.Combine(folder, name), document.ToJsonString());
        var start = new ProcessStartInfo(RealEnvoy.Find()!,
            ["-c", Path.Combine(folder, "bootstrap.json"), "--disable-hot-restart", "--concurrency", "1", "-l", "warn", "--log-path",
                Path.Combine(folder, "log")])
            {
                RedirectStandardError = true, RedirectStandardOutput = true
            };
        return new(Process.Start(start)!);
    }

    /// <summary>Waits until it has all its listeners.</summary>
    internal static async Task ReadyAsync(IPAddress address, CancellationToken stop)
    {
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        await Eventually.TrueAsync(async () =>
        {
            try
            {
                return (await http.GetStringAsync(new Uri($"http://{address}:15000/listeners"), stop)).Contains("virtualInbound", StringComparison.Ordinal);
            }
            catch (HttpRequestException)
            {
                return false; // It starts.
            }
        }, $"Envoy at {address} has listeners");
    }

    public void Dispose()
    {
        _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
    }
}
