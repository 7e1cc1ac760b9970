using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Text;
using Isthmus.Wire.Xds;

namespace Isthmus.Graph.Metrics;

/// <summary>What the control plane counts, under istiod's names. From any thread.</summary>
public sealed class ControlMetrics
{
    // Upper bounds in seconds, as istiod has them.
    private readonly Timings _convergence = new("pilot_proxy_convergence_time",
        "Seconds between a change and the acceptance of all that follows from it by a proxy.", [0.1, 0.5, 1, 3, 5, 10, 20, 30]);
    private readonly Timings _queue = new("pilot_proxy_queue_time",
        "Seconds between the moment when a proxy has a new configuration to get and the moment when its stream takes it.", [0.1, 0.5, 1, 3, 5, 10, 20, 30]);
    private readonly Timings _pushes = new("pilot_xds_push_time", "Seconds to make a response and to write it, by type.", [0.01, 0.1, 1, 3, 5, 10, 20, 30],
        isLabelled: true);
    private readonly Timings _sends = new("pilot_xds_send_time", "Seconds to write a response.", [0.01, 0.1, 1, 3, 5, 10, 20, 30]);

    private static readonly (string Name, string Help)[] Counters =
    [
        ("pilot_xds_pushes", "Responses that were sent to proxies, by type."),
        ("pilot_total_xds_rejects", "Responses that proxies rejected, by type."),
        ("isthmus_xds_refused_total", "Streams of xDS that were refused or ended because they would hold too much, by reason: streams, node or bytes."),
        ("pilot_push_triggers", "Pushes, by what changed: config, service, endpoint, proxy or networks; a push may have several reasons."),
        ("pilot_inbound_updates", "Changes of the mesh, by type: config, svc (hosts) and eds (hosts whose endpoints changed)."),
        ("pilot_k8s_cfg_events", "Changes of configuration that API servers told, by kind and event."),
        ("pilot_k8s_reg_events", "Changes of Services, Pods, Nodes and the like that API servers told, by kind and event."),
        ("pilot_jwks_resolver_network_fetch_success_total", "Keys of issuers that were fetched."),
        ("pilot_jwks_resolver_network_fetch_fail_total", "Keys of issuers that could not be fetched."),
        ("citadel_server_csr_count", "Requests for certificates."),
        ("citadel_server_authentication_failure_count", "Requests for certificates whose caller did not prove an identity."),
        ("citadel_server_csr_parsing_err_count", "Requests for certificates that cannot be read."),
        ("citadel_server_csr_sign_err_count", "Certificates that could not be signed."),
        ("citadel_server_success_cert_issuance_count", "Certificates that were issued."),
        ("sidecar_injection_requests_total", "Pods that API servers asked about."),
        ("sidecar_injection_success_total", "Pods that got a sidecar."),
        ("sidecar_injection_skip_total", "Pods that get no sidecar."),
        ("sidecar_injection_failure_total", "Pods that could not get a sidecar, and were refused."),
        ("isthmus_webhook_refused_total",
            "Reviews of admission that were not answered, by reason: caller (no API server), busy (too many at once) or review (not a review)."),
        ("galley_validation_passed", "Objects that were accepted at admission."),
        ("galley_validation_failed", "Objects that were refused at admission."),
    ];

    private readonly ConcurrentDictionary<(string Name, string Labels), StrongBox<long>> _counts = [];

    /// <param name="labels">As in Prometheus' text form.</param>
    /// <param name="by">How many happened at once.</param>
    public void Count(string name, string labels = "", long by = 1) => Interlocked.Add(ref _counts.GetOrAdd((name, labels), static _ => new()).Value, by);

    /// <summary>An API server told of an object.</summary>
    /// <param name="isConfig">It is configuration, which only the configuration cluster has.</param>
    /// <param name="change">add, update or delete.</param>
    internal void Told(string kind, bool isConfig, string change)
    {
        // As istiod calls them.
        if (isConfig) Count("pilot_k8s_cfg_events", $"type=\"{kind}\",event=\"{change}\"");
        else Count("pilot_k8s_reg_events", $"type=\"{(kind == "EndpointSlice" ? kind : kind + "s")}\",event=\"{change}\"");
    }

    /// <summary>Counts what happened on the stream of a proxy.</summary>
    public void Count(XdsEvent happened)
    {
        if (happened.Kind == XdsEventKind.Sent) Count("pilot_xds_pushes", LabelOf(happened.TypeUrl));
        else if (happened.Kind == XdsEventKind.Rejected) Count("pilot_total_xds_rejects", LabelOf(happened.TypeUrl));
    }

    /// <summary>A proxy has accepted all that follows from a change.</summary>
    public void Converged(TimeSpan after) => _convergence.Add(after);

    /// <summary>The stream of a proxy has taken what was waiting for it.</summary>
    public void Taken(TimeSpan after) => _queue.Add(after);

    /// <summary>A response has been written.</summary>
    public void Written(string typeUrl, TimeSpan making, TimeSpan writing)
    {
        _pushes.Add(making + writing, LabelOf(typeUrl));
        _sends.Add(writing);
    }

    /// <summary>Writes all of them in Prometheus' text form.</summary>
    internal void Write(StringBuilder text)
    {
        var counts = _counts.ToLookup(item => item.Key.Name, item => (item.Key.Labels, Value: (double)Interlocked.Read(ref item.Value.Value)),
            StringComparer.Ordinal);
        foreach (var (name, help) in Counters)
        {
            // Without labels, 0 is a value, too.
            var samples = counts[name].OrderBy(sample => sample.Labels, StringComparer.Ordinal).ToList();
            MetricText.Family(text, name, "counter", help, samples.Count == 0 && !IsLabelled(name) ? [("", 0)] : samples);
        }
        foreach (var timings in (Timings[])[_convergence, _queue, _pushes, _sends]) timings.Write(text);
    }

    /// <summary>Which proxies reject which types now, as istiod has it.</summary>
    internal static void WriteRejects(StringBuilder text, IEnumerable<(string TypeUrl, string Node)> rejects)
    {
        var rejected = rejects.ToLookup(item => item.TypeUrl, item => item.Node, StringComparer.Ordinal);
        foreach (var type in (string[])[TypeUrls.Cluster, TypeUrls.Endpoints, TypeUrls.Listener, TypeUrls.Route])
            MetricText.Family(text, $"pilot_xds_{ShortName(type)}_reject", "gauge",
                $"Proxies that reject resources of {ShortName(type).ToUpperInvariant()}, by node.",
                rejected[type].Order(StringComparer.Ordinal).Select(node => ($"node=\"{MetricText.Escape(node)}\"", 1.0)));
    }

    private static bool IsLabelled(string name) =>
        (name.StartsWith("pilot_", StringComparison.Ordinal) && !name.StartsWith("pilot_jwks_", StringComparison.Ordinal))
            || name.StartsWith("galley_", StringComparison.Ordinal) || name is "isthmus_xds_refused_total" or "isthmus_webhook_refused_total";

    /// <summary>Made once for the types that proxies ask for.</summary>
    private static string LabelOf(string typeUrl) => typeUrl switch
    {
        TypeUrls.Cluster => "type=\"cds\"",
        TypeUrls.Endpoints => "type=\"eds\"",
        TypeUrls.Listener => "type=\"lds\"",
        TypeUrls.Route or TypeUrls.VirtualHost => "type=\"rds\"",
        _ => $"type=\"{ShortName(typeUrl)}\"",
    };

    private static string ShortName(string typeUrl) => typeUrl switch
    {
        TypeUrls.Cluster => "cds",
        TypeUrls.Endpoints => "eds",
        TypeUrls.Listener => "lds",
        // Virtual hosts are parts of route tables, and so in RDS for those who watch it.
        TypeUrls.Route or TypeUrls.VirtualHost => "rds",
        TypeUrls.NameTable => "nds",
        TypeUrls.Secret => "sds",
        TypeUrls.ExtensionConfig => "ecds",
        TypeUrls.ProxyConfig => "pcds",
        _ => typeUrl,
    };
}
