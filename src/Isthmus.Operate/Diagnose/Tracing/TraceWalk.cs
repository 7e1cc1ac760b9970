using System.Net;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Proxy.Balancing;
using Isthmus.Proxy.Snapshot;

namespace Isthmus.Operate.Diagnose.Tracing;

/// <summary>The call that would find out the rest, once its destination is known.</summary>
internal sealed record WantedCall(IPEndPoint To, string Kind, string Authority, string Path);

/// <summary>
/// Follows a call through the live configuration of all that take part, and stops each way where it ends. A pure function of
/// <see cref="TraceFacts"/>: what it needs and lacks it names, so that it can be walked again with more.
/// </summary>
internal sealed partial class TraceWalk(TraceFacts facts)
{
    private readonly List<Hop> _hops = [];
    private readonly List<Way> _ways = [];
    private readonly Causes _causes = new(facts);
    private int _way;
    private IPEndPoint _destination = new(IPAddress.None, 0);
    private MeshHost? _host;
    private int _port;
    private string _kind = "http";

    /// <summary>Proxies whose configuration is needed.</summary>
    public HashSet<PodRef> WantedProxies { get; } = [];

    /// <summary>Namespaces of which the Pods are needed.</summary>
    public HashSet<string> WantedNamespaces => _causes.WantedNamespaces;

    /// <summary>Contexts of clusters whose control planes must say what they watch.</summary>
    public HashSet<string> WantedWatches => _causes.WantedWatches;

    public WantedCall? WantedCall { get; private set; }

    public bool IsComplete => WantedProxies.Count == 0 && WantedNamespaces.Count == 0 && WantedWatches.Count == 0;

    private ClusterObjects Home => facts.Home;

    private string Authority => _port == (_kind == "tls" ? 443 : 80) ? facts.Target.Host : $"{facts.Target.Host}:{_port}";

    private string Path => facts.Target.Path.Length > 0 ? facts.Target.Path : "/";

    public CallTrace Run()
    {
        if (WalkClient() && WalkName())
        {
            if (_sidecar is null || !WalkCapture()) WalkPlain();
            else WalkOutbound(_sidecar);
        }
        var target = $"{(_kind == "tcp" ? "tcp" : _kind == "tls" ? "https" : "http")}://{facts.Target.Host}{(_port > 0 ? $":{_port}" : "")}{(_kind == "tcp" ? "" : Path)}";
        return CallJudgement.Judge(facts, new($"{facts.Client.Name}.{facts.Client.Namespace}", facts.Client.Context, target, _hops.ToValueList(), _ways.ToValueList(), facts.Call));
    }

    private void Add(string name, HopStatus status, string summary, Problem? problem, params ReadOnlySpan<(string Name, string Value)> details)
    {
        var list = new List<Fact>();
        foreach (var (label, value) in details)
            if (value.Length > 0) list.Add(new(label, value));
        _hops.Add(new(name, _way, status, summary, list.ToValueList(), problem));
    }

    private bool Ok(string name, string summary, params ReadOnlySpan<(string Name, string Value)> details)
    {
        Add(name, HopStatus.Ok, summary, null, details);
        return true;
    }

    private bool Fail(string name, string summary, Problem problem, params ReadOnlySpan<(string Name, string Value)> details)
    {
        Add(name, HopStatus.Failed, summary, problem, details);
        return false;
    }

    private void Warn(string name, string summary, Problem problem, params ReadOnlySpan<(string Name, string Value)> details) =>
        Add(name, HopStatus.Warning, summary, problem with { Severity = Severity.Warning }, details);

    /// <summary>The proxy of a Pod; null when it has to be fetched first or does not answer, which is then said.</summary>
    private ProxyView? View(PodRef pod, string hop)
    {
        if (facts.Proxies.TryGetValue(pod, out var view)) return view;
        if (facts.Silent.TryGetValue(pod, out var why)) Add(hop, HopStatus.Unknown, $"the proxy of {pod} does not answer: {why}", null);
        else WantedProxies.Add(pod);
        return null;
    }

    /// <summary>Begins a way that some calls take.</summary>
    private void BeginWay(string title, int percent)
    {
        _ways.Add(new(title, percent));
        _way = _ways.Count;
    }

    private static string Text(Locality locality) => locality.IsUnknown ? "" : locality.ToString();

    private static string NetworkText(string network) => network.Length == 0 ? "" : $", {network}";
}
