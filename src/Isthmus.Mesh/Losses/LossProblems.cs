using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Mesh.Generate;
using Isthmus.Mesh.Model;
using Isthmus.Mesh.Resolve;
using Kind = Isthmus.Wire.Reports.TelemetryLoss.Types.Kind;

namespace Isthmus.Mesh.Losses;

/// <summary>A proxy with the telemetry that it loses.</summary>
public sealed record LosingProxy(ProxyIdentity Proxy, ValueList<LostTelemetry> Losses);

/// <summary>A problem that proxies report.</summary>
/// <param name="Cause">What is wrong, without what changes all the time: how many proxies it concerns.</param>
public sealed record LossProblem(Problem Problem, string Cause);

/// <summary>What proxies lose, as problems of the objects that ask for it: one for each object and field, however many proxies there are. Pure.</summary>
public static class LossProblems
{
    /// <summary>A collector does not get spans or logs, or a file no lines.</summary>
    public const string Lost = "ISM1423";

    /// <summary>Metrics lack labels, because there are too many series.</summary>
    public const string Bounded = "ISM1424";

    /// <summary>The place of a loss, and its cause there.</summary>
    private sealed record Place(string Code, string Object, string Path, string Cause, string Remedy);

    private sealed record Sighting(Place Place, ProxyIdentity Proxy, string Counter);

    /// <param name="settings">The object with MeshConfig: it is at fault when no Telemetry names the provider.</param>
    public static IReadOnlyList<LossProblem> Of(MeshView view, IReadOnlyList<LosingProxy> proxies, string settings) =>
    [
        .. proxies.SelectMany(proxy => proxy.Losses.SelectMany(loss => Places(view, proxy.Proxy, loss, settings)
            .Select(place => new Sighting(place, proxy.Proxy, loss.Counter))))
            .GroupBy(sighting => sighting.Place).OrderBy(group => group.Key.Object, StringComparer.Ordinal)
            .ThenBy(group => group.Key.Path, StringComparer.Ordinal).ThenBy(group => group.Key.Cause, StringComparer.Ordinal)
            .Select(Join),
    ];

    private static LossProblem Join(IGrouping<Place, Sighting> seen)
    {
        var (place, proxies) = (seen.Key,
            seen.Select(sighting => $"{sighting.Proxy.Id} in {sighting.Proxy.Cluster}").Distinct().Order(StringComparer.Ordinal).ToList());
        var counters = string.Join(", ", seen.Select(sighting => sighting.Counter).Distinct().Order(StringComparer.Ordinal));
        var who = proxies.Count == 1 ? $"of proxy {proxies[0]}" : $"of {proxies.Count} proxies, for example {proxies[0]}";
        return new(new(place.Code, place.Object, place.Path, $"{place.Cause} ({who}; counter {counters}); traffic is not affected", place.Remedy,
            Severity.Warning),
            place.Cause);
    }

    private static IEnumerable<Place> Places(MeshView view, ProxyIdentity proxy, LostTelemetry loss, string settings)
    {
        var pod = $"Pod {proxy.Namespace}/{proxy.Name}";
        var telemetries = new MeshReads(view).TelemetriesOf(proxy.Namespace, proxy.Labels).ToList();
        switch (loss.Kind)
        {
            case Kind.Spans or Kind.Logs:
                return OfCollector(view, proxy, loss, telemetries, settings);
            case Kind.Labels:
                const string Cause =
                    "there are more series of metrics than a proxy keeps, so that new ones lack the values of tags and what peers say about themselves";
                const string Remedy = "remove tags with many values: those of single users, requests or addresses";
                var tagged = telemetries.Where(item => item.Metrics.Any(HasTags))
                    .Select(item => new Place(Bounded, NameOf(item), $"spec.metrics[{item.Metrics.Index().First(rule => HasTags(rule.Item)).Index}].overrides",
                        Cause, Remedy))
                    .ToList();
                return tagged.Count > 0
                    ? tagged
                    : [new(Bounded, pod, "", Cause, "see which labels of /stats/prometheus have many values; peers choose what they say about themselves")];
            case Kind.Lines:
                return [new(Lost, pod, "", "lines of its access log are not written",
                    "check that the file can be written, and that something reads the standard output of the container fast enough")];
            default:
                return [new(Lost, pod, "", "telemetry is lost", "see the log of the proxy")];
        }
    }

    private static IEnumerable<Place> OfCollector(MeshView view, ProxyIdentity proxy, LostTelemetry loss, List<Telemetry> telemetries, string settings)
    {
        var what = loss.Kind == Kind.Spans ? "spans" : "access logs";
        if (!ResourceNames.TryParseOutbound(loss.Target, out var port, out _, out var host, out _))
            return [new(Lost, settings, "", $"{what} do not reach {loss.Target}: {loss.Cause}", loss.Remedy)];
        var providers = Services(view.Mesh, loss.Kind).Where(item => item.Port == port && view.Find(item.Service, port, proxy.Namespace)?.Hostname == host)
            .Select(item => item.Provider).ToHashSet(StringComparer.Ordinal);
        var named = telemetries.SelectMany(item => Fields(item, loss.Kind).Where(field => providers.Contains(field.Provider)).Select(field => (item, field)))
            .ToList();
        if (named.Count > 0) return named.Select(found => At(NameOf(found.item), found.field.Path, found.field.Provider));
        return providers.Count > 0
            ? providers.Order(StringComparer.Ordinal).Select(provider => At(settings, "defaultProviders", provider))
            : [At(settings, "", "")];

        Place At(string name, string path, string provider) =>
            new(Lost, name, path,
                $"{what} do not reach {(provider.Length > 0 ? $"the provider \"{provider}\" ({host}, port {port})" : $"{host}, port {port}")}: {loss.Cause}",
                loss.Remedy);
    }

    private static IEnumerable<(string Provider, string Service, int Port)> Services(MeshConfig mesh, Kind kind) => kind == Kind.Spans
        ? mesh.Tracers.Select(item => (item.Key, item.Value.Service, item.Value.Port))
        : mesh.Loggers.Where(item => item.Value.Service is not null).Select(item => (item.Key, item.Value.Service!.Host, item.Value.Service.Port));

    /// <summary>The fields that name providers.</summary>
    private static IEnumerable<(string Path, string Provider)> Fields(Telemetry telemetry, Kind kind) => kind == Kind.Spans
        ? telemetry.Tracing.Index().Where(rule => rule.Item.IsDisabled != true && !rule.Item.Providers.IsEmpty)
            .Select(rule => ($"spec.tracing[{rule.Index}].providers[0].name", rule.Item.Providers[0]))
        : telemetry.Logging.Index().Where(rule => !rule.Item.IsDisabled)
            .SelectMany(rule => rule.Item.Providers.Index()
                .Select(provider => ($"spec.accessLogging[{rule.Index}].providers[{provider.Index}].name", provider.Item)));

    private static bool HasTags(MetricRule rule) => rule.Overrides.Any(item => item.Tags.Any(tag => tag.Value.Length > 0));

    private static string NameOf(Telemetry telemetry) => $"Telemetry {telemetry.Namespace}/{telemetry.Name}";
}
