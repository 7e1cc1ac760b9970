using Google.Protobuf;
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
    private readonly HostTables _tables = new();

    /// <param name="wildcards">The types with a wildcard subscription; others are subscribed by name as the sink requests.</param>
    public DeltaClient(Node node, IEnumerable<string> wildcards, IXdsSink sink, TimeProvider time)
    {
        (_node, _sink, _time) = (node.Clone(), sink, time);
        _node.ClientFeatures.Add(VirtualHosts.Feature);
        foreach (var url in wildcards) State(url).Wildcard = true;
    }

    /// <summary>Removals held until nothing refers to the resources any more (see <see cref="Settle"/>).</summary>
    public bool IsUnsettled => _types.Values.Any(t => t.Removals.Count > 0);

    public IReadOnlyList<XdsTypeStatus> Types =>
        [.. _types.Values.Select(t => new XdsTypeStatus(
            t.Url, t.Version, t.Nonce, t.Url == TypeUrls.VirtualHost ? _tables.Hosts : t.Known.Count, t.Rejected, t.Received))];

    /// <summary>The first requests of a new stream: all subscriptions, with the versions already held.</summary>
    public IReadOnlyList<DeltaDiscoveryRequest> Open()
    {
        var requests = new List<DeltaDiscoveryRequest>();
        _tables.Reopen();
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
        var (verdict, refused) = type.Url == TypeUrls.VirtualHost ? TakeHosts(response) : Take(type, response);
        type.Nonce = response.Nonce;
        type.Rejected = string.Join("; ", refused.Select(r => $"{r.Name}: {r.Reason}"));
        if (refused.Count == 0) type.Version = response.SystemVersionInfo;
        var answer = new DeltaDiscoveryRequest { TypeUrl = type.Url, ResponseNonce = response.Nonce };
        if (refused.Count > 0) answer.ErrorDetail = new() { Code = (int)GrpcCode.InvalidArgument, Message = type.Rejected };
        return [answer, .. Want(verdict)];
    }

    private (XdsVerdict Verdict, List<XdsRejection> Refused) Take(TypeState type, DeltaDiscoveryResponse response)
    {
        var (came, refused) = Read(type, response);
        foreach (var resource in came) type.Removals.Remove(resource.Name);
        IReadOnlyList<string> removed = [.. response.RemovedResources];
        if (IsReferredTo(type.Url))
        {
            type.Removals.UnionWith(removed);
            removed = [];
        }
        var changed = type.Url == TypeUrls.Route ? Whole(came, removed, refused) : came;
        var verdict = _sink.Apply(new(type.Url, response.SystemVersionInfo, changed, removed));
        refused.AddRange(verdict.Rejected);
        var bad = refused.Select(r => r.Name).ToHashSet(StringComparer.Ordinal);
        foreach (var resource in came)
            if (!bad.Contains(resource.Name)) type.Known[resource.Name] = resource.Version;
        foreach (var name in response.RemovedResources) type.Forget(name);
        if (type.Url == TypeUrls.Route) SettleTables(changed, refused);
        return (verdict, refused);
    }

    /// <summary>A refused table has to come again on the next stream: what it is put together of is not what is in use.</summary>
    private void SettleTables(List<XdsResource> changed, List<XdsRejection> refused)
    {
        var names = refused.Select(r => r.Name).ToHashSet(StringComparer.Ordinal);
        _tables.Settle(changed, names);
        foreach (var name in names) State(TypeUrls.Route).Forget(name);
    }

    /// <summary>The tables that are whole: those whose virtual hosts are resources of their own wait for the first of these.</summary>
    private List<XdsResource> Whole(List<XdsResource> came, IReadOnlyList<string> removed, List<XdsRejection> refused)
    {
        var whole = new List<XdsResource>(came.Count);
        foreach (var table in came)
        {
            try
            {
                if (_tables.Put(table) is { } complete) whole.Add(complete);
            }
            catch (Exception e) when (e is InvalidProtocolBufferException or InvalidDataException)
            {
                refused.Add(new(table.Name, e.Message));
            }
        }
        foreach (var name in removed) _tables.Remove(name);
        return whole;
    }

    /// <summary>The sink knows whole tables only.</summary>
    private (XdsVerdict Verdict, List<XdsRejection> Refused) TakeHosts(DeltaDiscoveryResponse response)
    {
        var refused = new List<XdsRejection>();
        var changed = _tables.Apply(response, refused);
        var verdict = _sink.Apply(new(TypeUrls.Route, response.SystemVersionInfo, changed, []));
        SettleTables(changed, [.. verdict.Rejected]);
        refused.AddRange(verdict.Rejected);
        return (verdict, refused);
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

    /// <returns>What changed, and what cannot be used.</returns>
    private static (List<XdsResource> Came, List<XdsRejection> Refused) Read(TypeState type, DeltaDiscoveryResponse response)
    {
        var came = new List<XdsResource>(response.Resources.Count);
        var refused = new List<XdsRejection>();
        foreach (var resource in response.Resources)
        {
            if (resource.Resource_ is null) refused.Add(new(resource.Name, "resource without a body"));
            else if (resource.Resource_.TypeUrl != response.TypeUrl)
                refused.Add(new(resource.Name, $"resource of type {resource.Resource_.TypeUrl} in a response of type {response.TypeUrl}"));
            // Drops resources that were in flight when the client unsubscribed.
            else if (type.Wildcard || type.Names.Contains(resource.Name))
            {
                try
                {
                    came.Add(type.Read(resource));
                }
                catch (InvalidProtocolBufferException e)
                {
                    refused.Add(new(resource.Name, e.Message));
                }
            }
        }
        return (came, refused);
    }

    private List<DeltaDiscoveryRequest> Want(XdsVerdict verdict)
    {
        var requests = new List<DeltaDiscoveryRequest>();
        foreach (var (url, names) in verdict.Wanted.OrderBy(w => TypeUrls.Rank(w.Key))) Subscribe(url, names, requests);
        // One subscription is for the virtual hosts of all tables.
        if (!_tables.IsEmpty && State(TypeUrls.VirtualHost) is { Asked: false } hosts && Ask(hosts) is { } first) requests.Add(first);
        return requests;
    }

    private void Subscribe(string url, IReadOnlyCollection<string> names, List<DeltaDiscoveryRequest> requests)
    {
        var type = State(url);
        var added = names.Where(n => !type.Names.Contains(n)).ToArray();
        var left = type.Names.Where(n => !names.Contains(n)).ToArray();
        if (added.Length == 0 && left.Length == 0) return;
        foreach (var name in left)
        {
            type.Names.Remove(name);
            type.Forget(name);
            type.Removals.Remove(name);
            if (url == TypeUrls.Route) _tables.Remove(name);
        }
        type.Names.UnionWith(added);
        if (type.Asked) requests.Add(new() { TypeUrl = url, ResourceNamesSubscribe = { added }, ResourceNamesUnsubscribe = { left } });
        else if (Ask(type) is { } first) requests.Add(first);
    }

    private DeltaDiscoveryRequest? Ask(TypeState type)
    {
        if (type.Url == TypeUrls.VirtualHost ? _tables.IsEmpty : !type.Wildcard && type.Names.Count == 0) return null;
        type.Asked = true;
        var request = new DeltaDiscoveryRequest { TypeUrl = type.Url };
        // An empty first subscription is a wildcard; together with names, the wildcard must be explicit.
        if (type.Wildcard && type.Names.Count > 0) request.ResourceNamesSubscribe.Add("*");
        request.ResourceNamesSubscribe.Add(type.Names);
        foreach (var (name, version) in type.Url == TypeUrls.VirtualHost ? _tables.Versions : type.Known)
            request.InitialResourceVersions.Add(name, version);
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

        /// <exception cref="InvalidProtocolBufferException">It is malformed.</exception>
        public XdsResource Read(Resource resource) => _field == 0
            ? new(resource.Name, resource.Version, resource.Resource_)
            : new(resource.Name, resource.Version, Url, XdsParts.Split(resource.Resource_.Value, _field));

        public void Forget(string name) => Known.Remove(name);
    }
}
