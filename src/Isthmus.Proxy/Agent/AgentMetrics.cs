using System.Globalization;
using System.Text;
using Isthmus.Proxy.Dns;
using Isthmus.Proxy.Tls;

namespace Isthmus.Proxy.Agent;

/// <summary>The metrics of the agent, under the names of Istio's.</summary>
/// <param name="discovered">The certificates that the control plane sends.</param>
/// <param name="dns">Null: DNS is not captured.</param>
internal sealed class AgentMetrics(WorkloadSecrets secrets, DiscoveredSecrets discovered, AppMetricsSource application, DnsProxy? dns,
    TimeProvider time)
{
    /// <summary>The name of the workload's own certificate.</summary>
    private const string Own = "default";

    private const string Certificate = "istio_agent_cert_expiry_seconds", Outgoing = "istio_agent_num_outgoing_requests",
        Failed = "istio_agent_num_failed_outgoing_requests",
        Scrapes = "istio_agent_scrapes_total", Unscraped = "istio_agent_scrape_failures_total",
        Queries = "istio_agent_dns_requests_total", Forwarded = "istio_agent_dns_upstream_requests_total", Dropped = "istio_agent_dns_upstream_failures_total";

    /// <summary>What each of them means, for the documentation.</summary>
    public static IReadOnlyList<(string Name, bool IsGauge, string Meaning)> All { get; } =
    [
        (Certificate, true, "Seconds until a certificate expires: `default` is the workload's, others are of Gateways and of calls to other servers."),
        (Outgoing, false, "Requests to the certificate authority."),
        (Failed, false, "Requests to the certificate authority that failed."),
        (Scrapes, false, "Scrapes of the merged metrics."),
        (Unscraped, false, "Paths of the application that gave nothing, or not all: they are away, slow, break off, or have more than 10 MiB."),
        (Queries, false, "DNS queries of the application."),
        (Forwarded, false, "DNS queries that were passed to the Pod's name server."),
        (Dropped, false, "DNS queries dropped because too many waited for the Pod's name server."),
    ];

    /// <summary>In Prometheus' text form.</summary>
    public string Text()
    {
        var text = new StringBuilder();
        var ends = discovered.Ends().Where(one => one.Name != Own).ToList();
        if (secrets.CertificateEnd is { } own) ends.Insert(0, (Own, own));
        if (ends.Count > 0) Type(Certificate);
        foreach (var (name, end) in ends.DistinctBy(one => one.Name))
            Sample(Certificate, $"{{resource_name=\"{name.Replace("\\", "\\\\").Replace("\"", "\\\"")}\"}}", Math.Floor((end - time.GetUtcNow()).TotalSeconds));
        Add(Outgoing, "{request_type=\"csr\"}", secrets.Requests);
        Add(Failed, "{request_type=\"csr\"}", secrets.Failures);
        Add(Scrapes, "", application.Scrapes);
        Add(Unscraped, "{type=\"application\"}", application.Failures);
        if (dns?.Counts is { } counts)
        {
            Add(Queries, "", counts.Answered + counts.Forwarded + counts.Dropped);
            Add(Forwarded, "", counts.Forwarded);
            Add(Dropped, "", counts.Dropped);
        }
        return text.ToString();

        void Add(string name, string labels, double value)
        {
            Type(name);
            Sample(name, labels, value);
        }

        void Type(string name) => text.Append(CultureInfo.InvariantCulture,
            $"# TYPE {name} {(All.Single(known => known.Name == name).IsGauge ? "gauge" : "counter")}\n");

        void Sample(string name, string labels, double value) => text.Append(CultureInfo.InvariantCulture, $"{name}{labels} {value}\n");
    }
}
