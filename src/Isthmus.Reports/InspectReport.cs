using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace Isthmus.Reports;

/// <summary>All that a proxy tells of itself at once (<c>/inspect</c>). The agent of an Envoy tells of the Pod only.</summary>
/// <param name="ConfigDump">Envoy's <c>/config_dump</c>.</param>
/// <param name="Clusters">Envoy's <c>/clusters</c>.</param>
public sealed record InspectReport(JsonObject? ConfigDump = null, JsonObject? Clusters = null, PodReport? Pod = null)
{
    /// <summary>The path of the page.</summary>
    public const string Page = "/inspect";

    /// <summary>What to ask for: what a name resolves to, or all names that the sidecar answers itself.</summary>
    /// <param name="about"><c>host=NAME</c> or <c>names=true</c>.</param>
    public static string Request(string about) => $"{Page}?{about}";
}

/// <summary>What is known of a Pod, whichever its data plane is.</summary>
public sealed record PodReport
{
    /// <summary>Where programs of the Pod accept connections.</summary>
    public IReadOnlyList<string>? Listening { get; init; }

    /// <summary>Whether the sidecar answers DNS queries itself.</summary>
    public bool? DnsCapture { get; init; }

    /// <summary>Whether the agent makes calls through an Envoy; null if the proxy is of Isthmus, and does, or the agent is older, and does
    /// not tell.</summary>
    public bool? Calls { get; init; }

    /// <summary>The search domains of the resolver.</summary>
    public IReadOnlyList<string>? Search { get; init; }

    /// <summary>What the name resolves to that was asked for.</summary>
    public NameReport? Name { get; init; }

    /// <summary>The addresses of all names that the sidecar answers itself.</summary>
    public Dictionary<string, IReadOnlyList<string>>? Names { get; init; }

    public bool? Ready { get; init; }

    /// <summary>The clusters whose limits have refused something.</summary>
    public IReadOnlyList<RefusalReport>? Refusals { get; init; }

    /// <summary>The endpoints that get no calls because calls failed there.</summary>
    public IReadOnlyList<EjectionReport>? Ejections { get; init; }

    /// <summary>The endpoints where the last call failed a moment ago.</summary>
    public IReadOnlyList<FailureReport>? Failures { get; init; }

    /// <summary>What proxies of later releases tell: bug reports keep it.</summary>
    [JsonExtensionData]
    public Dictionary<string, JsonElement>? More { get; set; }
}

/// <summary>What a name resolves to for the applications of a Pod.</summary>
/// <param name="Tried">The names that the resolver's search domains make of it, up to the one that has an answer.</param>
/// <param name="Name">The one that has.</param>
/// <param name="By"><c>sidecar</c> or <c>upstream</c>; empty: none answers.</param>
public sealed record NameReport(
    string Host = "", IReadOnlyList<string>? Tried = null, string Name = "", IReadOnlyList<string>? Addresses = null, string By = "");

/// <summary>What the limits of a cluster have refused since the proxy started.</summary>
/// <param name="SecondsAgo">How long ago the last one was.</param>
public sealed record RefusalReport(string Cluster = "", long Count = 0, long SecondsAgo = 0);

/// <summary>An endpoint that gets no calls because calls failed there, and how the last one did.</summary>
/// <param name="Status">That of the response; 0: there was none.</param>
/// <param name="Flag">Envoy's response flag for that; empty with a response.</param>
/// <param name="Reason">Envoy's text for why a connection failed.</param>
public sealed record EjectionReport(string Cluster = "", string Address = "", int Status = 0, string Flag = "", string Reason = "");

/// <summary>An endpoint where the last call failed a moment ago, and none has got through since; or a cluster that had none for a call.</summary>
/// <param name="Address">Empty for a cluster without endpoints.</param>
/// <param name="Status">That of the response; 0: there was none.</param>
/// <param name="Flag">Envoy's response flag for that; empty with a response.</param>
/// <param name="Reason">Envoy's text for why a connection failed.</param>
/// <param name="SecondsAgo">How long ago it was.</param>
public sealed record FailureReport(string Cluster = "", string Address = "", int Status = 0, string Flag = "", string Reason = "", long SecondsAgo = 0)
{
    /// <summary>For how long a proxy tells of it.</summary>
    public static TimeSpan Kept => TimeSpan.FromMinutes(1);
}
