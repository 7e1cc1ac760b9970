using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.Routes;
using Isthmus.Wire.Xds;

namespace Isthmus.Tests.Libraries.Wire.Xds;

/// <summary>A server's stream and a client that subscribes to both tables.</summary>
internal sealed class VirtualHostPair : IXdsSink
{
    private readonly DeltaClient _client;
    private readonly bool _takesHosts;
    private readonly Dictionary<string, string> _rejected = [];
    private readonly Queue<DeltaDiscoveryResponse> _sent = new();
    private DeltaStream _server = new("", _ => { });
    private XdsSnapshot _last = XdsSnapshot.Empty;

    public VirtualHostPair(bool takesHosts)
    {
        _takesHosts = takesHosts;
        _client = new(new Node { Id = "n" }, [TypeUrls.Listener], this, TimeProvider.System);
        Reconnect();
    }

    public Dictionary<string, RouteConfiguration> Tables { get; } = [];

    public SortedDictionary<string, string> Shown => new(Tables.ToDictionary(table => table.Key, table => ShownOf(table.Value)));

    public Dictionary<string, XdsParts> Parts { get; } = [];

    public Dictionary<string, XdsParts> Earlier { get; } = [];

    /// <summary>What was sent, by type.</summary>
    public Dictionary<string, List<Resource>> Sent { get; } = [];

    /// <summary>Tables that ignore ports are refused.</summary>
    public bool RejectsWide { get; set; }

    public string RejectedOf(string type) => _rejected.GetValueOrDefault(type, "");

    /// <returns>The size of the largest request.</returns>
    public int Reconnect()
    {
        _rejected.Clear();
        _sent.Clear();
        _server = new("n", happened => _rejected[happened.TypeUrl] = happened.Kind is XdsEventKind.Acknowledged or XdsEventKind.Rejected
            or XdsEventKind.Withdrawn ? happened.Detail : _rejected.GetValueOrDefault(happened.TypeUrl, ""));
        _server.Update(_last);
        var largest = 0;
        foreach (var request in _client.Open())
        {
            largest = Math.Max(largest, request.CalculateSize());
            Send(_server.Receive(Seen(request)));
        }
        // The listeners that need them.
        Send([new DeltaDiscoveryResponse { TypeUrl = TypeUrls.Listener, Nonce = "l" }]);
        Drain();
        return largest;
    }

    /// <summary>It changes while the client is not connected.</summary>
    public void Away(XdsSnapshot snapshot) => _last = snapshot;

    /// <returns>How many bytes were sent.</returns>
    public int Publish(XdsSnapshot snapshot)
    {
        Offer(snapshot, 0);
        return Drain();
    }

    /// <summary>The server has another snapshot, and the client takes so many responses.</summary>
    public void Offer(XdsSnapshot snapshot, int responses)
    {
        Send(_server.Update(_last = snapshot));
        for (var i = 0; i < responses; i++) Take();
    }

    /// <summary>The client takes all responses, and the server all answers.</summary>
    /// <returns>How many bytes were sent.</returns>
    public int Drain()
    {
        var bytes = 0;
        while (_sent.TryPeek(out var response))
        {
            bytes += response.CalculateSize();
            Take();
        }
        return bytes;
    }

    private void Take()
    {
        if (!_sent.TryDequeue(out var response)) return;
        foreach (var answer in _client.Receive(response)) Send(_server.Receive(Seen(answer)));
    }

    private void Send(IReadOnlyList<DeltaDiscoveryResponse> responses)
    {
        foreach (var response in responses)
        {
            foreach (var resource in response.Resources)
            {
                if (!Sent.TryGetValue(response.TypeUrl, out var sent)) Sent[response.TypeUrl] = sent = [];
                sent.Add(resource);
            }
            _sent.Enqueue(response);
        }
    }

    public IReadOnlyList<DeltaDiscoveryRequest> Receive(DeltaDiscoveryResponse response)
    {
        var answers = _client.Receive(response);
        foreach (var answer in answers.Where(answer => answer.ResponseNonce.Length > 0)) _server.Receive(answer);
        return answers;
    }

    /// <summary>As the server of a client without the feature sees it.</summary>
    private DeltaDiscoveryRequest Seen(DeltaDiscoveryRequest request)
    {
        if (_takesHosts || request.Node is null) return request;
        var changed = request.Clone();
        changed.Node.ClientFeatures.Clear();
        return changed;
    }

    public XdsVerdict Apply(XdsBatch batch)
    {
        var rejected = new List<XdsRejection>();
        foreach (var resource in batch.Changed)
        {
            var table = RouteConfiguration.Parser.ParseFrom(resource.Parts!.Join());
            var isBad = table.VirtualHosts.Any(host => host.Domains.Contains("bad"));
            if (isBad || (RejectsWide && table.IgnorePortInHostMatching))
            {
                rejected.Add(new(resource.Name, isBad ? "bad domain" : "wide"));
                continue;
            }
            if (Parts.TryGetValue(resource.Name, out var before)) Earlier[resource.Name] = before;
            (Tables[resource.Name], Parts[resource.Name]) = (table, resource.Parts);
        }
        foreach (var name in batch.Removed) Tables.Remove(name);
        return new(rejected, new Dictionary<string, IReadOnlySet<string>> { [TypeUrls.Route] = new HashSet<string> { "t", "u" } });
    }

    /// <summary>The order of virtual hosts does not matter.</summary>
    internal static string ShownOf(RouteConfiguration table)
    {
        var sorted = table.Clone();
        sorted.VirtualHosts.Clear();
        sorted.VirtualHosts.Add(table.VirtualHosts.OrderBy(host => host.Name, StringComparer.Ordinal).ThenBy(host => host.Domains[0], StringComparer.Ordinal));
        return sorted.ToString();
    }
}
