using System.Collections.Concurrent;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.WebConsole.Reading;

namespace Isthmus.WebConsole.Traffic;

/// <summary>What one Prometheus was asked, for the page.</summary>
/// <param name="Window">The time that rates are of, for example <c>1m</c>.</param>
/// <param name="Clusters">The clusters whose proxies it scrapes: their proxies are not asked. Empty when it is not used.</param>
/// <param name="Error">Why it is not used; empty when it is.</param>
internal sealed record PrometheusState(string Name, string Window, IReadOnlyList<string> Clusters, string Error, string Remedy);

/// <summary>The calls that Prometheus servers know, and of which clusters.</summary>
internal sealed record PrometheusPicture(DateTimeOffset Time, IReadOnlyList<CallRate> Rates, IReadOnlyList<PrometheusState> States)
{
    public static readonly PrometheusPicture Nothing = new(default, [], []);

    private readonly HashSet<string> _clusters = new(States.SelectMany(state => state.Clusters), StringComparer.Ordinal);

    /// <summary>Whether a Prometheus scrapes the proxies of this cluster.</summary>
    public bool Has(string cluster) => _clusters.Contains(cluster);

    /// <summary>Adds what proxies of the other clusters count.</summary>
    public IReadOnlyList<CallRate> Join(IReadOnlyList<CallRate> asked) => [.. Rates, .. asked.Where(rate => !Has(rate.Call.CountedIn))];
}

/// <summary>Asks Prometheus servers for the traffic of the mesh: the one that the user named, or those beside control planes.</summary>
internal sealed class PrometheusTraffic(PrometheusChoice choice, string istioNamespace, Func<string, KubeClient> clients, TimeProvider time) : IDisposable
{
    private const string ServiceName = "prometheus";

    private static readonly TimeSpan Valid = TimeSpan.FromSeconds(20), Rest = TimeSpan.FromSeconds(15);

    private readonly Lazy<HttpClient> _http = PrometheusServer.Client();
    private readonly ConcurrentDictionary<string, (PrometheusState State, DateTimeOffset NotBefore)> _failed = new(StringComparer.Ordinal);
    private volatile PrometheusPicture _last = PrometheusPicture.Nothing;

    /// <summary>What was answered last, if that is not long ago.</summary>
    public PrometheusPicture Latest => time.GetUtcNow() - _last.Time <= Valid ? _last : PrometheusPicture.Nothing;

    public void Dispose()
    {
        if (_http.IsValueCreated) _http.Value.Dispose();
    }

    public async Task AskAsync(MeshState mesh, CancellationToken stop)
    {
        var now = time.GetUtcNow();
        var answers = await Task.WhenAll(Servers(mesh).Select(server => AskAsync(server, now, stop)));
        var states = answers.Select(answer => answer.State);
        if (choice.Name.Length > 0 && answers.Length == 0 && mesh.Clusters.Count > 0)
            states = [new($"Service {choice.Namespace}/{choice.Name}", "", [], "is in none of the clusters that are shown",
                "check its name, and whether you may list Services there")];
        _last = new(time.GetUtcNow(), PrometheusRates.Merge(answers.SelectMany(answer => answer.Rates)), [.. states]);
    }

    private IEnumerable<PrometheusServer> Servers(MeshState mesh)
    {
        if (choice.IsNone) return [];
        if (choice.Address is { } address) return [PrometheusServer.At(address, _http)];
        var (ns, name) = choice.Name.Length > 0 ? (choice.Namespace, choice.Name) : (istioNamespace, ServiceName);
        return from cluster in mesh.Clusters
               from service in cluster.Services
               where service.Metadata.Namespace == ns && service.Metadata.Name == name && service.Spec.Ports.Count > 0
               let port = service.Spec.Ports.FirstOrDefault(port => port.Port == choice.Port) ?? service.Spec.Ports[0]
               let scheme = port.Name.StartsWith("https", StringComparison.Ordinal) || port.AppProtocol == "https" ? "https:" : ""
               select PrometheusServer.Behind(clients(cluster.Context), ns, name, $"{scheme}{name}:{(choice.Port > 0 ? choice.Port : port.Port)}");
    }

    private async Task<(PrometheusState State, IReadOnlyList<CallRate> Rates)> AskAsync(PrometheusServer server, DateTimeOffset now, CancellationToken stop)
    {
        // One that does not answer costs nobody time at each turn.
        if (_failed.TryGetValue(server.Name, out var failed) && failed.NotBefore > now) return (failed.State, []);
        try
        {
            var (window, rates) = await server.ReadAsync(time, stop);
            return (new(server.Name, window,
                [.. rates.Select(rate => rate.Call.CountedIn).Where(cluster => cluster.Length > 0).Distinct(StringComparer.Ordinal)
                    .Order(StringComparer.Ordinal)],
                "", ""),
                rates);
        }
        catch (ProblemException e)
        {
            var state = new PrometheusState(server.Name, "", [], e.Problem.Message, e.Problem.Remedy);
            _failed[server.Name] = (state, now + Rest);
            return (state, []);
        }
    }
}
