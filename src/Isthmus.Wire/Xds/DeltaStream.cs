using Isthmus.Wire.Envoy;

namespace Isthmus.Wire.Xds;

/// <summary>A server's state of one delta stream; decides what to send and does no I/O. Not thread-safe.</summary>
public sealed class DeltaStream(string noncePrefix, Action<XdsEvent> observe)
{
    private readonly Dictionary<string, TypeState> _types = new(StringComparer.Ordinal);
    private XdsSnapshot _snapshot = XdsSnapshot.Empty;
    private long _nonce;

    /// <summary>A client's request; returns what to answer now, in order.</summary>
    public IReadOnlyList<DeltaDiscoveryResponse> Receive(DeltaDiscoveryRequest request)
    {
        var isNew = !_types.TryGetValue(request.TypeUrl, out var type);
        if (type is null)
        {
            // A nonce of an earlier stream is ignored: the subscription counts as new.
            _types[request.TypeUrl] = type = new(request.TypeUrl) { Wildcard = request.ResourceNamesSubscribe.Count == 0 };
            foreach (var (name, version) in request.InitialResourceVersions) type.Known[name] = version;
        }
        else Acknowledge(type, request);

        var asked = Subscribe(type, request, isNew);
        if (isNew || asked.Count > 0 || request.ResourceNamesUnsubscribe.Count > 0)
            observe(new(XdsEventKind.Subscribed, type.Url, request.ResponseNonce, "", type.Names.Count, ""));
        var answers = new List<DeltaDiscoveryResponse>();
        if (isNew || asked.Count > 0) Answer(type, answers, always: isNew, asked);
        else if (type is { Outstanding: false, Stale: true }) Answer(type, answers, always: false, []);
        return answers;
    }

    /// <summary>Updates what the client should have; returns what to send, in order. A type with an unanswered response
    /// waits for its answer.</summary>
    public IReadOnlyList<DeltaDiscoveryResponse> Update(XdsSnapshot snapshot)
    {
        var before = _snapshot;
        _snapshot = snapshot;
        var answers = new List<DeltaDiscoveryResponse>();
        foreach (var type in _types.Values.OrderBy(t => TypeUrls.Rank(t.Url)))
        {
            if (ReferenceEquals(before.Types.GetValueOrDefault(type.Url), snapshot.Types.GetValueOrDefault(type.Url)) && !type.Stale) continue;
            if (type.Outstanding) type.Stale = true;
            else Answer(type, answers, always: type.Unanswered, []);
        }
        return answers;
    }

    private void Acknowledge(TypeState type, DeltaDiscoveryRequest request)
    {
        if (request.ResponseNonce.Length == 0 || request.ResponseNonce != type.Nonce) return;
        type.Outstanding = false;
        // A rejected resource counts as delivered: it is sent again only when it changes.
        observe(request.ErrorDetail is { } error
            ? new(XdsEventKind.Rejected, type.Url, request.ResponseNonce, type.Version, 0, error.Message)
            : new(XdsEventKind.Acknowledged, type.Url, request.ResponseNonce, type.Version, 0, ""));
    }

    /// <summary>The names that must be answered. On a known type they are sent regardless of the recorded versions: a
    /// client that subscribes again has lost them.</summary>
    private static HashSet<string> Subscribe(TypeState type, DeltaDiscoveryRequest request, bool isNew)
    {
        var asked = new HashSet<string>(StringComparer.Ordinal);
        foreach (var name in request.ResourceNamesUnsubscribe)
        {
            if (name == "*") type.Wildcard = false;
            else type.Names.Remove(name);
        }
        if (request.ResourceNamesUnsubscribe.Count > 0 && !type.Wildcard)
            foreach (var name in type.Known.Keys.Where(name => !type.Names.Contains(name)).ToArray()) type.Known.Remove(name);
        foreach (var name in request.ResourceNamesSubscribe)
        {
            asked.Add(name);
            if (name == "*") type.Wildcard = true;
            else
            {
                type.Names.Add(name);
                if (!isNew) type.Known.Remove(name);
            }
        }
        return asked;
    }

    private void Answer(TypeState type, List<DeltaDiscoveryResponse> answers, bool always, HashSet<string> asked)
    {
        if (!_snapshot.Types.TryGetValue(type.Url, out var resources))
        {
            // The type may be served later: then even an empty set is a response.
            type.Unanswered |= always;
            return;
        }
        type.Stale = false;
        type.Unanswered = false;
        var response = new DeltaDiscoveryResponse { TypeUrl = type.Url, SystemVersionInfo = _snapshot.Version };
        // With thousands of names of which one changed, a set that tracks changes avoids comparing them all.
        var changed = type.Seen is { } seen ? resources.ChangedSince(seen) : null;
        if (changed is null || asked.Contains("*"))
        {
            AddChanged(type, resources, response);
            AddRemoved(type, resources, response, asked);
        }
        else AddOnly([.. changed, .. asked], type, resources, response, asked);
        type.Seen = resources;
        if (!always && response.Resources.Count == 0 && response.RemovedResources.Count == 0) return;
        Send(type, response, answers);
        if (type.Url == TypeUrls.Cluster) RepeatEndpoints(response, answers);
    }

    private static void AddChanged(TypeState type, IXdsResources resources, DeltaDiscoveryResponse response)
    {
        if (type.Wildcard)
            foreach (var resource in resources.All) AddIfChanged(type, resource, response);
        foreach (var name in type.Names)
            if (resources.TryGet(name, out var resource)) AddIfChanged(type, resource, response);
    }

    private static void AddOnly(HashSet<string> names, TypeState type, IXdsResources resources, DeltaDiscoveryResponse response, HashSet<string> asked)
    {
        foreach (var name in names)
        {
            if (!type.Wildcard && !type.Names.Contains(name)) continue;
            if (resources.TryGet(name, out var resource)) AddIfChanged(type, resource, response);
            else if (type.Known.Remove(name) || asked.Contains(name)) response.RemovedResources.Add(name);
        }
    }

    private static void AddIfChanged(TypeState type, XdsResource resource, DeltaDiscoveryResponse response)
    {
        if (type.Known.TryGetValue(resource.Name, out var version) && version == resource.Version) return;
        type.Known[resource.Name] = resource.Version;
        response.Resources.Add(new Resource { Name = resource.Name, Version = resource.Version, Resource_ = resource.Body });
    }

    private static void AddRemoved(TypeState type, IXdsResources resources, DeltaDiscoveryResponse response, HashSet<string> asked)
    {
        foreach (var name in type.Known.Keys.Where(name => !resources.TryGet(name, out _)).ToArray())
        {
            type.Known.Remove(name);
            response.RemovedResources.Add(name);
        }
        // A name that does not exist is answered as removed, so that the client does not wait for it.
        foreach (var name in asked.Where(name => name != "*" && !type.Known.ContainsKey(name) && !response.RemovedResources.Contains(name)))
            response.RemovedResources.Add(name);
    }

    /// <summary>Envoy warms a changed cluster only when its endpoints are sent again.</summary>
    private void RepeatEndpoints(DeltaDiscoveryResponse clusters, List<DeltaDiscoveryResponse> answers)
    {
        if (!_types.TryGetValue(TypeUrls.Endpoints, out var endpoints) || endpoints.Names.Count == 0) return;
        var again = new HashSet<string>(StringComparer.Ordinal);
        foreach (var cluster in clusters.Resources)
            if (endpoints.Names.Contains(cluster.Name) && endpoints.Known.Remove(cluster.Name)) again.Add(cluster.Name);
        // Endpoints removed at the same time must be reported as removed, hence the names.
        if (again.Count > 0) Answer(endpoints, answers, always: false, again);
    }

    private void Send(TypeState type, DeltaDiscoveryResponse response, List<DeltaDiscoveryResponse> answers)
    {
        response.Nonce = type.Nonce = $"{noncePrefix}-{++_nonce}";
        type.Version = response.SystemVersionInfo;
        type.Outstanding = true;
        answers.Add(response);
        observe(new(XdsEventKind.Sent, type.Url, response.Nonce, type.Version, response.Resources.Count, ""));
    }

    private sealed class TypeState(string url)
    {
        public string Url { get; } = url;
        public bool Wildcard { get; set; }
        public HashSet<string> Names { get; } = new(StringComparer.Ordinal);
        /// <summary>Versions that the client has or was sent, by name.</summary>
        public Dictionary<string, string> Known { get; } = new(StringComparer.Ordinal);
        /// <summary>The set behind the last response.</summary>
        public IXdsResources? Seen { get; set; }
        public string Nonce { get; set; } = "";
        public string Version { get; set; } = "";
        /// <summary>A response is outstanding: neither accepted nor rejected.</summary>
        public bool Outstanding { get; set; }
        /// <summary>Something changed while a response was outstanding.</summary>
        public bool Stale { get; set; }
        /// <summary>The first request has not been answered because the type is not served (yet).</summary>
        public bool Unanswered { get; set; }
    }
}
