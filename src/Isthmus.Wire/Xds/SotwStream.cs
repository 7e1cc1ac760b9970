using Isthmus.Wire.Envoy;

namespace Isthmus.Wire.Xds;

/// <summary>A server's state of one state-of-the-world stream; decides what to send and does no I/O. Not thread-safe.</summary>
public sealed class SotwStream(string noncePrefix, ControlPlane? controlPlane, Action<XdsEvent> observe)
{
    private readonly Dictionary<string, TypeState> _types = new(StringComparer.Ordinal);
    private XdsSnapshot _snapshot = XdsSnapshot.Empty;
    private long _nonce;

    /// <summary>A client's request; returns what to answer now, in order.</summary>
    public IReadOnlyList<DiscoveryResponse> Receive(DiscoveryRequest request)
    {
        var answers = new List<DiscoveryResponse>();
        if (!_types.TryGetValue(request.TypeUrl, out var type))
        {
            // Its version and nonce belong to another stream: send the full state.
            _types[request.TypeUrl] = type = new(request.TypeUrl);
            Subscribe(type, request);
            Answer(type, answers, always: true, null);
            return answers;
        }
        if (request.ResponseNonce.Length == 0)
        {
            Subscribe(type, request);
            type.Sent.Clear();
            Answer(type, answers, always: true, null);
            if (type.Url == TypeUrls.Cluster) RepeatEndpoints(answers);
            return answers;
        }
        if (request.ResponseNonce != type.Nonce) return answers;

        Acknowledge(type, request);
        var added = Subscribe(type, request);
        if (added.Count > 0) Answer(type, answers, always: true, added);
        else if (type.Stale) Answer(type, answers, always: false, null);
        return answers;
    }

    /// <summary>Updates what the client should have; returns what to send, in order. A type with an unanswered response
    /// waits for its answer.</summary>
    public IReadOnlyList<DiscoveryResponse> Update(XdsSnapshot snapshot)
    {
        var before = _snapshot;
        _snapshot = snapshot;
        var answers = new List<DiscoveryResponse>();
        foreach (var type in _types.Values.OrderBy(t => TypeUrls.Rank(t.Url)))
        {
            if (ReferenceEquals(before.Types.GetValueOrDefault(type.Url), snapshot.Types.GetValueOrDefault(type.Url)) && !type.Stale) continue;
            if (type.Outstanding) type.Stale = true;
            else Answer(type, answers, always: type.Unanswered, null);
        }
        return answers;
    }

    private void Acknowledge(TypeState type, DiscoveryRequest request)
    {
        type.Outstanding = false;
        // A rejected resource is sent again only when it changes.
        observe(request.ErrorDetail is { } error
            ? new(XdsEventKind.Rejected, type.Url, request.ResponseNonce, type.Version, 0, error.Message)
            : new(XdsEventKind.Acknowledged, type.Url, request.ResponseNonce, type.Version, 0, ""));
    }

    /// <summary>The newly subscribed names.</summary>
    private HashSet<string> Subscribe(TypeState type, DiscoveryRequest request)
    {
        var names = new HashSet<string>(request.ResourceNames, StringComparer.Ordinal);
        type.Wildcard = names.Remove("*") || (names.Count == 0 && (type.Wildcard || TypeUrls.IsWildcard(type.Url)));
        var added = new HashSet<string>(names.Where(name => !type.Names.Contains(name)), StringComparer.Ordinal);
        var same = added.Count == 0 && names.Count == type.Names.Count;
        type.Names = names;
        foreach (var gone in type.Sent.Keys.Where(name => !type.Wildcard && !names.Contains(name)).ToArray()) type.Sent.Remove(gone);
        if (!same) observe(new(XdsEventKind.Subscribed, type.Url, request.ResponseNonce, "", names.Count, ""));
        return added;
    }

    /// <param name="only">Answer these names whether changed or not; null answers what changed.</param>
    private void Answer(TypeState type, List<DiscoveryResponse> answers, bool always, HashSet<string>? only)
    {
        if (!_snapshot.Types.TryGetValue(type.Url, out var resources))
        {
            type.Unanswered |= always;
            return;
        }
        var (send, changed) = type.Wildcard || TypeUrls.IsWildcard(type.Url) ? Everything(type, resources) : Changed(type, resources, only);
        type.Stale = false;
        type.Unanswered = false;
        if (!always && !changed) return;
        Send(type, send, answers);
    }

    /// <summary>Clusters and listeners: absence means removal, so the whole set is sent when any of it changed.</summary>
    private static (List<XdsResource> Send, bool Changed) Everything(TypeState type, IXdsResources resources)
    {
        var send = new List<XdsResource>();
        if (type.Wildcard) send.AddRange(resources.All);
        foreach (var name in type.Names)
            if (resources.TryGet(name, out var resource) && !(type.Wildcard && send.Contains(resource))) send.Add(resource);
        var changed = send.Count != type.Sent.Count || send.Any(r => type.Sent.GetValueOrDefault(r.Name) != r.Version);
        type.Sent.Clear();
        foreach (var resource in send) type.Sent[resource.Name] = resource.Version;
        return (send, changed);
    }

    /// <summary>Types subscribed by name: only changes are sent; absence does not mean removal.</summary>
    private static (List<XdsResource> Send, bool Changed) Changed(TypeState type, IXdsResources resources, HashSet<string>? only)
    {
        var send = new List<XdsResource>();
        foreach (var name in type.Names)
        {
            if (!resources.TryGet(name, out var resource))
            {
                type.Sent.Remove(name);
                continue;
            }
            var isNew = type.Sent.GetValueOrDefault(name) != resource.Version;
            if (!isNew && only?.Contains(name) != true) continue;
            type.Sent[name] = resource.Version;
            send.Add(resource);
        }
        return (send, send.Count > 0);
    }

    /// <summary>Clusters that were requested again warm up only when their endpoints are sent again.</summary>
    private void RepeatEndpoints(List<DiscoveryResponse> answers)
    {
        if (!_types.TryGetValue(TypeUrls.Endpoints, out var endpoints) || endpoints.Names.Count == 0) return;
        endpoints.Sent.Clear();
        Answer(endpoints, answers, always: false, null);
    }

    private void Send(TypeState type, List<XdsResource> resources, List<DiscoveryResponse> answers)
    {
        type.Nonce = $"{noncePrefix}-{++_nonce}";
        type.Version = _snapshot.Version;
        type.Outstanding = true;
        var response = new DiscoveryResponse { TypeUrl = type.Url, VersionInfo = type.Version, Nonce = type.Nonce, ControlPlane = controlPlane };
        foreach (var resource in resources) response.Resources.Add(resource.Body);
        answers.Add(response);
        observe(new(XdsEventKind.Sent, type.Url, type.Nonce, type.Version, resources.Count, ""));
    }

    private sealed class TypeState(string url)
    {
        public string Url { get; } = url;
        public bool Wildcard { get; set; }
        public HashSet<string> Names { get; set; } = new(StringComparer.Ordinal);
        /// <summary>Last sent version, by name.</summary>
        public Dictionary<string, string> Sent { get; } = new(StringComparer.Ordinal);
        public string Nonce { get; set; } = "";
        public string Version { get; set; } = "";
        public bool Outstanding { get; set; }
        public bool Stale { get; set; }
        public bool Unanswered { get; set; }
    }
}
