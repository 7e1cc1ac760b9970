using System.Globalization;
using System.Text;
using Isthmus.Proxy.Dns;
using Isthmus.Proxy.Tls;

namespace Isthmus.Proxy.Agent;

/// <summary>The metrics of the agent, under the names of Istio's.</summary>
/// <param name="dns">Null: DNS is not captured.</param>
internal sealed class AgentMetrics(WorkloadSecrets secrets, AppMetricsSource application, DnsProxy? dns, TimeProvider time)
{
    private const string Certificate = "istio_agent_cert_expiry_seconds", Lifetime = "isthmus_agent_cert_lifetime_seconds",
        Outgoing = "istio_agent_num_outgoing_requests", Failed = "istio_agent_num_failed_outgoing_requests",
        Scrapes = "istio_agent_scrapes_total", Unscraped = "istio_agent_scrape_failures_total",
        Queries = "istio_agent_dns_requests_total", Forwarded = "istio_agent_dns_upstream_requests_total", Dropped = "istio_agent_dns_upstream_failures_total";

    /// <summary>What each of them means, for the documentation.</summary>
    public static IReadOnlyList<(string Name, bool IsGauge, string Meaning)> All { get; } =
    [
        (Certificate, true, "Seconds until a certificate expires: `default` is the workload's, SPIFFE IDs are those of other workloads that the proxy serves, "
            + "others are of Gateways and of calls to other servers, in Secrets (`kubernetes://NAME`) and in files (`file-cert:CHAIN~KEY`, and CAs in "
            + "`file-root:FILE`: the first of them to expire)."),
        (Lifetime, true, "Seconds for which the same certificate is valid altogether: what is left is a share of that."),
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
        var (lives, now) = (secrets.Lives().DistinctBy(one => one.Name).ToList(), time.GetUtcNow());
        AddAll(Certificate, life => life.End - now);
        AddAll(Lifetime, life => life.End - life.Begin);
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

        void AddAll(string name, Func<SecretLife, TimeSpan> measure)
        {
            if (lives.Count > 0) Type(name);
            foreach (var (resource, life) in lives)
                Sample(name, $"{{resource_name=\"{resource.Replace("\\", "\\\\").Replace("\"", "\\\"")}\"}}", Math.Floor(measure(life).TotalSeconds));
        }

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
