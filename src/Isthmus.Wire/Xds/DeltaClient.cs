using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Wire.Discovery;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Grpc;

namespace Isthmus.Wire.Xds;

/// <summary>A client's state of its delta subscriptions, kept over reconnections; decides what to send and does no I/O. Not
/// thread-safe.</summary>
public sealed class DeltaClient
{
    private readonly Node _node;
    private readonly IXdsSink _sink;
    private readonly TimeProvider _time;
    private readonly SortedDictionary<(int Rank, string Url), TypeState> _types = [];

    /// <param name="wildcards">The types with a wildcard subscription; others are subscribed by name as the sink requests.</param>
    public DeltaClient(Node node, IEnumerable<string> wildcards, IXdsSink sink, TimeProvider time)
    {
        (_node, _sink, _time) = (node.Clone(), sink, time);
        _node.ClientFeatures.Add(XdsChange.Feature);
        foreach (var url in wildcards) State(url).Wildcard = true;
    }

    /// <summary>Removals held until nothing refers to the resources any more (see <see cref="Settle"/>).</summary>
    public bool IsUnsettled => _types.Values.Any(t => t.Removals.Count > 0);

    public IReadOnlyList<XdsTypeStatus> Types =>
        [.. _types.Values.Select(t => new XdsTypeStatus(t.Url, t.Version, t.Nonce, t.Known.Count, t.Rejected, t.Received))];

    /// <summary>The first requests of a new stream: all subscriptions, with the versions already held.</summary>
    public IReadOnlyList<DeltaDiscoveryRequest> Open()
    {
        var requests = new List<DeltaDiscoveryRequest>();
        foreach (var type in _types.Values)
        {
            type.Asked = false;
            if (Ask(type) is { } request) requests.Add(request);
        }
        if (requests.Count > 0) requests[0].Node = _node;
        return requests;
    }

    /// <summary>Hands a response to the sink; returns what to send back.</summary>
    public IReadOnlyList<DeltaDiscoveryRequest> Receive(DeltaDiscoveryResponse response)
    {
        if (!_types.TryGetValue(Key(response.TypeUrl), out var type) || !type.Asked) return [];
        type.Received = _time.GetUtcNow();
        var (changed, refused, lost) = Read(type, response);
        foreach (var resource in changed) type.Removals.Remove(resource.Name);
        IReadOnlyList<string> removed = [.. response.RemovedResources];
        if (IsReferredTo(type.Url))
        {
            type.Removals.UnionWith(removed);
            removed = [];
        }
        var verdict = _sink.Apply(new(type.Url, response.SystemVersionInfo, changed, removed));
        refused.AddRange(verdict.Rejected);
        var bad = refused.Select(r => r.Name).ToHashSet(StringComparer.Ordinal);
        foreach (var resource in changed)
            if (!bad.Contains(resource.Name)) type.Known[resource.Name] = resource.Version;
        foreach (var name in response.RemovedResources) type.Forget(name);

        type.Nonce = response.Nonce;
        type.Rejected = string.Join("; ", refused.Select(r => $"{r.Name}: {r.Reason}"));
        if (refused.Count == 0) type.Version = response.SystemVersionInfo;
        var answer = new DeltaDiscoveryRequest { TypeUrl = type.Url, ResponseNonce = response.Nonce };
        if (refused.Count > 0) answer.ErrorDetail = new() { Code = (int)GrpcCode.InvalidArgument, Message = type.Rejected };
        // What is asked for again is sent as a whole.
        answer.ResourceNamesSubscribe.Add(lost);
        return [answer, .. Want(verdict)];
    }

    /// <summary>Removes clusters and endpoints that left while the stream was busy: call it when the stream is quiet.
    /// Returns what to send.</summary>
    public IReadOnlyList<DeltaDiscoveryRequest> Settle()
    {
        var requests = new List<DeltaDiscoveryRequest>();
        foreach (var type in _types.Values.Where(t => t.Removals.Count > 0).ToArray())
        {
            IReadOnlyList<string> removed = [.. type.Removals];
            type.Removals.Clear();
            requests.AddRange(Want(_sink.Apply(new(type.Url, type.Version, [], removed))));
        }
        return requests;
    }

    /// <summary>Routes and listeners refer to clusters: removing the cluster first would fail requests in between.</summary>
    private static bool IsReferredTo(string url) => url is TypeUrls.Cluster or TypeUrls.Endpoints;

    /// <returns>What changed, what cannot be used, and the names of changes whose base is not here.</returns>
    private static (List<XdsResource> Changed, List<XdsRejection> Refused, List<string> Lost) Read(TypeState type, DeltaDiscoveryResponse response)
    {
        var changed = new List<XdsResource>(response.Resources.Count);
        var (refused, lost) = (new List<XdsRejection>(), new List<string>());
        foreach (var resource in response.Resources)
        {
            if (resource.Resource_ is null) refused.Add(new(resource.Name, "resource without a body"));
            else if (resource.Resource_.TypeUrl != response.TypeUrl && !type.IsChange(resource.Resource_))
                refused.Add(new(resource.Name, $"resource of type {resource.Resource_.TypeUrl} in a response of type {response.TypeUrl}"));
            // Drops resources that were in flight when the client unsubscribed.
            else if (type.Wildcard || type.Names.Contains(resource.Name))
            {
                try
                {
                    if (type.Read(resource) is { } read) changed.Add(read);
                    else lost.Add(resource.Name);
                }
                catch (Exception e) when (e is InvalidProtocolBufferException or InvalidDataException)
                {
                    refused.Add(new(resource.Name, e.Message));
                }
            }
        }
        return (changed, refused, lost);
    }

    private List<DeltaDiscoveryRequest> Want(XdsVerdict verdict)
    {
        var requests = new List<DeltaDiscoveryRequest>();
        foreach (var (url, names) in verdict.Wanted.OrderBy(w => TypeUrls.Rank(w.Key)))
        {
            var type = State(url);
            var added = names.Where(n => !type.Names.Contains(n)).ToArray();
            var left = type.Names.Where(n => !names.Contains(n)).ToArray();
            if (added.Length == 0 && left.Length == 0) continue;
            foreach (var name in left)
            {
                type.Names.Remove(name);
                type.Forget(name);
                type.Removals.Remove(name);
            }
            type.Names.UnionWith(added);
            if (!type.Asked)
            {
                if (Ask(type) is { } first) requests.Add(first);
                continue;
            }
            requests.Add(new() { TypeUrl = url, ResourceNamesSubscribe = { added }, ResourceNamesUnsubscribe = { left } });
        }
        return requests;
    }

    private static DeltaDiscoveryRequest? Ask(TypeState type)
    {
        if (!type.Wildcard && type.Names.Count == 0) return null;
        type.Asked = true;
        var request = new DeltaDiscoveryRequest { TypeUrl = type.Url };
        // An empty first subscription is a wildcard; together with names, the wildcard must be explicit.
        if (type.Wildcard && type.Names.Count > 0) request.ResourceNamesSubscribe.Add("*");
        request.ResourceNamesSubscribe.Add(type.Names);
        foreach (var (name, version) in type.Known) request.InitialResourceVersions.Add(name, version);
        return request;
    }

    private TypeState State(string url)
    {
        if (!_types.TryGetValue(Key(url), out var type)) _types[Key(url)] = type = new(url);
        return type;
    }

    private static (int Rank, string Url) Key(string url) => (TypeUrls.Rank(url), url);

    private sealed class TypeState(string url)
    {
        public string Url { get; } = url;
        public bool Wildcard { get; set; }
        public HashSet<string> Names { get; } = new(StringComparer.Ordinal);
        /// <summary>Versions that the sink has accepted, by name.</summary>
        public Dictionary<string, string> Known { get; } = new(StringComparer.Ordinal);
        public HashSet<string> Removals { get; } = new(StringComparer.Ordinal);
        /// <summary>The type was subscribed on this stream.</summary>
        public bool Asked { get; set; }
        public string Nonce { get; set; } = "";
        public string Version { get; set; } = "";
        public string Rejected { get; set; } = "";
        public DateTimeOffset Received { get; set; }

        private readonly int _field = XdsParts.FieldOf(url);
        // What came last, accepted or not: the base of the next change.
        private readonly Dictionary<string, XdsResource> _came = new(StringComparer.Ordinal);

        public bool IsChange(Any body) => _field > 0 && body.TypeUrl == XdsChange.TypeUrl;

        /// <returns>Null when it is a change of what is not here.</returns>
        /// <exception cref="InvalidProtocolBufferException">It is malformed.</exception>
        /// <exception cref="InvalidDataException">It is a change that its base cannot have.</exception>
        public XdsResource? Read(Resource resource)
        {
            if (_field == 0) return new(resource.Name, resource.Version, resource.Resource_);
            if (!IsChange(resource.Resource_))
                return _came[resource.Name] = new(resource.Name, resource.Version, Url, XdsParts.Split(resource.Resource_.Value, _field));
            var change = ResourceChange.Parser.ParseFrom(resource.Resource_.Value);
            if (!_came.TryGetValue(resource.Name, out var before) || before.Version != change.Base) return null;
            return _came[resource.Name] = new(resource.Name, resource.Version, Url, XdsChange.Apply(before.Parts!, change));
        }

        public void Forget(string name)
        {
            Known.Remove(name);
            _came.Remove(name);
        }
    }
}
