using Google.Protobuf.WellKnownTypes;
using Isthmus.Wire.Envoy;

namespace Isthmus.Wire.Xds;

/// <summary>A server's state of one delta stream; decides what to send and does no I/O. Not thread-safe.</summary>
/// <remarks>What the client has is the set behind the last answer, as far as it subscribes to it. That set is shared with
/// other streams, so a stream holds no names and versions of its own.</remarks>
public sealed class DeltaStream(string noncePrefix, Action<XdsEvent> observe, ControlPlane? controlPlane = null)
    : IXdsStream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>
{
    // In the order in which clients need them; there are few.
    private readonly List<TypeState> _types = [];
    private XdsSnapshot _snapshot = XdsSnapshot.Empty;
    private long _nonce;
    private bool _takesHosts;

    public bool IsBeginning => _types.Exists(static type => type is { Outstanding: true, Confirmed: false });

    public long OwnBytes
    {
        get
        {
            var bytes = 0L;
            foreach (var type in _types) bytes += type.OwnBytes;
            return bytes;
        }
    }

    public bool IsUnanswered => _types.Exists(static type => type.Unanswered);

    public bool Begins(DeltaDiscoveryRequest request) => Find(request.TypeUrl) is null && Served(request.TypeUrl) is not null;

    /// <summary>A client's request; returns what to answer now, in order.</summary>
    public IReadOnlyList<DeltaDiscoveryResponse> Receive(DeltaDiscoveryRequest request)
    {
        if (request.Node is { } node) _takesHosts = node.ClientFeatures.Contains(VirtualHosts.Feature);
        var type = Find(request.TypeUrl);
        var isNew = type is null;
        if (type is null)
        {
            // A nonce of an earlier stream is ignored: the subscription counts as new.
            type = new(request.TypeUrl, _takesHosts && request.TypeUrl == TypeUrls.Route)
            {
                Wildcard = request.ResourceNamesSubscribe.Count == 0 && request.TypeUrl != TypeUrls.VirtualHost,
            };
            var at = _types.FindIndex(other => TypeUrls.Rank(other.Url) > TypeUrls.Rank(type.Url));
            _types.Insert(at < 0 ? _types.Count : at, type);
            if (request.InitialResourceVersions.Count > 0) type.Begin(request.InitialResourceVersions);
        }
        else Acknowledge(type, request);

        if (type.Url == TypeUrls.VirtualHost) type.Follow(Find(TypeUrls.Route));
        else Subscribe(type, request);
        if (isNew || request.ResourceNamesSubscribe.Count > 0 || request.ResourceNamesUnsubscribe.Count > 0)
            observe(new(XdsEventKind.Subscribed, type.Url, request.ResponseNonce, "", type.Names.Count, ""));
        if (!isNew && request.ResourceNamesSubscribe.Count == 0 && type is not { Outstanding: false, Stale: true }) return [];
        var answers = new List<DeltaDiscoveryResponse>(1);
        if (type.Url == TypeUrls.VirtualHost) AnswerSingle(type, request, answers, isNew);
        else Answer(type, answers, always: isNew);
        if (type.Url == TypeUrls.Route && Find(TypeUrls.VirtualHost) is { } hosts)
        {
            if (hosts.Asked.Count > 0) Answer(hosts, answers, always: hosts.Unanswered);
            else FollowTables(hosts, answers);
        }
        return answers;
    }

    /// <summary>Updates what the client should have; returns what to send, in order. A type with an unanswered response
    /// waits for its answer.</summary>
    public IReadOnlyList<DeltaDiscoveryResponse> Update(XdsSnapshot snapshot)
    {
        var before = _snapshot;
        _snapshot = snapshot;
        var answers = new List<DeltaDiscoveryResponse>(1);
        foreach (var type in _types)
        {
            if (type.Url == TypeUrls.VirtualHost)
            {
                FollowTables(type, answers);
                continue;
            }
            if (ReferenceEquals(before.Types.GetValueOrDefault(type.Url), snapshot.Types.GetValueOrDefault(type.Url)) && !type.Stale) continue;
            if (type.Outstanding) type.Stale = true;
            else Answer(type, answers, always: type.Unanswered);
        }
        return answers;
    }

    /// <summary>What a type is answered from; null: it is not served, or not yet. Virtual hosts are those of the tables that were sent: a client that
    /// does not know of a table drops its hosts.</summary>
    private IXdsResources? Served(string url) => url == TypeUrls.VirtualHost ? Find(TypeUrls.Route)?.Seen : _snapshot.Types.GetValueOrDefault(url);

    /// <summary>Sends virtual hosts after their tables.</summary>
    private void FollowTables(TypeState hosts, List<DeltaDiscoveryResponse> answers)
    {
        if (ReferenceEquals(hosts.Seen, Served(hosts.Url)) && !hosts.Stale) return;
        if (hosts.Outstanding) hosts.Stale = true;
        else Answer(hosts, answers, always: hosts.Unanswered);
    }

    private TypeState? Find(string url)
    {
        foreach (var type in _types)
            if (type.Url == url) return type;
        return null;
    }

    private void Acknowledge(TypeState type, DeltaDiscoveryRequest request)
    {
        if (request.ResponseNonce.Length == 0 || type.Sent.Take(request.ResponseNonce) is not { } names) return;
        type.Confirmed = true;
        // A rejected resource counts as delivered: it is sent again only when it changes.
        type.Sent.Answered(names, request.ErrorDetail?.Message);
        observe(new(request.ErrorDetail is null ? XdsEventKind.Acknowledged : XdsEventKind.Rejected, type.Url, request.ResponseNonce, type.Version, 0,
            type.Sent.Rejections));
        // A table that is accepted is accepted with the virtual hosts that it has; others are yet to come.
        if (request.ErrorDetail is null && _takesHosts && PartnerOf(type) is { } partner && partner.Sent.Withdraw(names))
            observe(new(XdsEventKind.Withdrawn, partner.Url, partner.Nonce, partner.Version, 0, partner.Sent.Rejections));
    }

    private TypeState? PartnerOf(TypeState type) => type.Url switch
    {
        TypeUrls.Route => Find(TypeUrls.VirtualHost),
        TypeUrls.VirtualHost => Find(TypeUrls.Route),
        _ => null,
    };

    /// <summary>Names that a client subscribes to again are sent regardless of what it has: it has lost them.</summary>
    private void Subscribe(TypeState type, DeltaDiscoveryRequest request)
    {
        var withdrawn = false;
        foreach (var name in request.ResourceNamesUnsubscribe)
        {
            if (name == "*") type.Wildcard = false;
            else withdrawn |= type.Unsubscribe(name);
        }
        if (withdrawn) observe(new(XdsEventKind.Withdrawn, type.Url, request.ResponseNonce, type.Version, 0, type.Sent.Rejections));
        var named = _snapshot.Types.GetValueOrDefault(type.Url == TypeUrls.VirtualHost ? TypeUrls.Route : type.Url);
        foreach (var asked in request.ResourceNamesSubscribe)
        {
            if (asked == "*")
            {
                type.Widened |= !type.Wildcard;
                type.Wildcard = true;
                continue;
            }
            // The name's own copy in the request would live as long as the stream.
            var name = named?.TryGet(asked, out var known) == true ? known.Name : asked;
            type.Asked.Add(name);
            if (!type.Names.Add(name)) type.Earlier?.Remove(name);
            else if (ReferenceEquals(name, asked)) type.Own(name);
        }
        // A table's virtual hosts come with it.
        if (type.Url == TypeUrls.Route && Find(TypeUrls.VirtualHost) is { } hosts) Subscribe(hosts, request);
    }

    private void Answer(TypeState type, List<DeltaDiscoveryResponse> answers, bool always)
    {
        if (Served(type.Url) is not { } resources)
        {
            // The type may be served later: then even an empty set is a response.
            type.Unanswered |= always;
            return;
        }
        type.Stale = false;
        type.Unanswered = false;
        var response = NewResponse(type);
        // With thousands of names of which one changed, a set that tracks changes avoids comparing them all.
        var changed = type.Seen is { } seen && !type.Widened ? resources.ChangedSince(seen) : null;
        if (type.Url == TypeUrls.VirtualHost) AddHosts(type, resources, changed, response);
        else if (changed is null)
        {
            AddAll(type, resources, response);
            AddRemoved(type, resources, response);
        }
        else
        {
            foreach (var name in changed)
                if (type.Asked.Count == 0 || !type.Asked.Contains(name)) AddOne(type, name, resources, response);
            foreach (var name in type.Asked) AddOne(type, name, resources, response);
        }
        // Envoy still answers requests of connections whose listener is on its way out, and would fail them. It forgets what no listener uses.
        if (type.Url == TypeUrls.ExtensionConfig) response.RemovedResources.Clear();
        type.Saw(resources);
        if (!always && response.Resources.Count == 0 && response.RemovedResources.Count == 0) return;
        Send(type, response, answers);
        if (type.Url == TypeUrls.Cluster) RepeatEndpoints(response, answers);
    }

    private DeltaDiscoveryResponse NewResponse(TypeState type) =>
        new() { TypeUrl = type.Url, SystemVersionInfo = _snapshot.Version, ControlPlane = controlPlane };

    private void AddAll(TypeState type, IXdsResources resources, DeltaDiscoveryResponse response)
    {
        // A name can be subscribed to by itself and by the wildcard: it is sent once.
        var added = type.Wildcard && type.Names.Count > 0 ? new HashSet<string>(StringComparer.Ordinal) : null;
        if (type.Wildcard)
        {
            foreach (var resource in resources.All)
            {
                added?.Add(resource.Name);
                AddIfChanged(type, resource, response);
            }
        }
        foreach (var name in type.Names)
            if (added?.Contains(name) != true && resources.TryGet(name, out var resource)) AddIfChanged(type, resource, response);
    }

    private static void AddRemoved(TypeState type, IXdsResources resources, DeltaDiscoveryResponse response)
    {
        var removed = new HashSet<string>(StringComparer.Ordinal);
        if (type.Seen is null) removed.UnionWith(type.Earlier?.Keys.Where(name => !resources.TryGet(name, out _)) ?? []);
        else if (type.Wildcard)
            removed.UnionWith(type.Seen.All.Select(resource => resource.Name).Where(name => type.Has(name) && !resources.TryGet(name, out _)));
        foreach (var name in type.Names)
            if (type.Has(name) && !resources.TryGet(name, out _)) removed.Add(name);
        // A name that does not exist is answered as removed, so that the client does not wait for it.
        foreach (var name in type.Asked)
            if (!resources.TryGet(name, out _)) removed.Add(name);
        response.RemovedResources.Add(removed);
    }

    private void AddOne(TypeState type, string name, IXdsResources resources, DeltaDiscoveryResponse response)
    {
        if (!type.Wildcard && !type.Names.Contains(name)) return;
        if (resources.TryGet(name, out var resource)) AddIfChanged(type, resource, response);
        else if (type.Has(name) || type.Asked.Contains(name)) response.RemovedResources.Add(name);
    }

    private void AddIfChanged(TypeState type, XdsResource resource, DeltaDiscoveryResponse response)
    {
        var isAsked = type.Seen is not null && type.Asked.Contains(resource.Name);
        var shown = type.Shown(resource);
        var version = type.VersionOf(resource.Name);
        if (!isAsked && version == shown.Version) return;
        // A client that had no such table, or had it whole, has none of its hosts.
        if (!ReferenceEquals(shown, resource) && type.Seen is { } seen && (version is null || TableOf(seen, resource.Name) is null))
            Find(TypeUrls.VirtualHost)?.Asked.Add(resource.Name);
        response.Resources.Add(new Resource { Name = resource.Name, Version = shown.Version, Resource_ = shown.Body });
    }

    /// <summary>The virtual hosts of tables: all of one that is asked for, or else what changed.</summary>
    private void AddHosts(TypeState type, IXdsResources tables, IReadOnlyCollection<string>? changed, DeltaDiscoveryResponse response)
    {
        var current = type.Earlier is null ? null : new HashSet<string>(StringComparer.Ordinal);
        var names = changed?.Where(name => type.Wildcard || type.Names.Contains(name)).Union(type.Asked)
            ?? (type.Wildcard ? tables.All.Select(table => table.Name) : type.Names);
        foreach (var name in names)
        {
            var now = TableOf(tables, name);
            if (type.Seen is not { } seen)
            {
                foreach (var host in now?.Hosts ?? [])
                {
                    current?.Add(host.Name);
                    if (type.Earlier?.GetValueOrDefault(host.Name) != host.Version) response.Resources.Add(host);
                }
            }
            else if (type.Asked.Contains(name)) response.Resources.Add(now?.Hosts ?? []);
            // A client drops the hosts of a table that is gone, or comes whole.
            else if (now is not null && TableOf(seen, name) is { } before && !ReferenceEquals(before, now))
            {
                var changes = now.HostsSince(before);
                response.Resources.Add(changes.Changed);
                response.RemovedResources.Add(changes.Removed);
            }
        }
        if (current is not null) response.RemovedResources.Add(type.Earlier!.Keys.Where(name => !current.Contains(name)));
    }

    /// <summary>A client is sent all virtual hosts of its tables. One that it asks for by itself is none of them, or on its way.</summary>
    private void AnswerSingle(TypeState type, DeltaDiscoveryRequest request, List<DeltaDiscoveryResponse> answers, bool isNew)
    {
        if (isNew || type.Stale) Answer(type, answers, always: isNew);
        if (request.ResourceNamesSubscribe.Count == 0) return;
        var response = NewResponse(type);
        // In Envoy, an answer without a body ends the wait of the requests for it.
        foreach (var name in request.ResourceNamesSubscribe.Where(name => name != "*"))
            response.Resources.Add(new Resource { Name = name, Aliases = { name } });
        Send(type, response, answers);
    }

    /// <summary>A table whose virtual hosts this client gets as resources of their own; null: there is none.</summary>
    private XdsResource? TableOf(IXdsResources tables, string name) =>
        _takesHosts && tables.TryGet(name, out var table) && table.Parts?.AreResources == true ? table : null;

    /// <summary>Envoy warms a changed cluster only when its endpoints are sent again.</summary>
    private void RepeatEndpoints(DeltaDiscoveryResponse clusters, List<DeltaDiscoveryResponse> answers)
    {
        if (Find(TypeUrls.Endpoints) is not { Names.Count: > 0 } endpoints) return;
        var again = false;
        foreach (var cluster in clusters.Resources)
        {
            if (!endpoints.Names.Contains(cluster.Name) || !endpoints.Has(cluster.Name)) continue;
            // Endpoints removed at the same time must be reported as removed, hence the names.
            endpoints.Asked.Add(cluster.Name);
            endpoints.Earlier?.Remove(cluster.Name);
            again = true;
        }
        if (again) Answer(endpoints, answers, always: false);
    }

    private void Send(TypeState type, DeltaDiscoveryResponse response, List<DeltaDiscoveryResponse> answers)
    {
        response.Nonce = type.Nonce = $"{noncePrefix}-{++_nonce}";
        type.Version = response.SystemVersionInfo;
        var names = response.Resources.Where(resource => resource.Resource_ is not null).Select(resource => resource.Name).Concat(response.RemovedResources);
        // A client takes a table, or refuses it.
        type.Sent.Await(type.Nonce, type.Url == TypeUrls.VirtualHost ? [.. names.Select(VirtualHosts.TableIn).Distinct()] : [.. names],
            response.RemovedResources.Sum(StreamText.Bytes));
        answers.Add(response);
        observe(new(XdsEventKind.Sent, type.Url, response.Nonce, type.Version, response.Resources.Count, ""));
    }

    /// <param name="takesHosts">Its resources are route tables, of which the client gets the virtual hosts as another type.</param>
    private sealed class TypeState(string url, bool takesHosts)
    {
        public string Url { get; } = url;
        public bool Wildcard { get; set; }
        /// <summary>The wildcard subscription began after the last answer.</summary>
        public bool Widened { get; set; }
        public HashSet<string> Names { get; } = new(StringComparer.Ordinal);
        /// <summary>Names that must be answered.</summary>
        public HashSet<string> Asked { get; private set; } = new(StringComparer.Ordinal);
        /// <summary>Versions that the client has from an earlier stream, by name, until the first answer.</summary>
        public Dictionary<string, string>? Earlier { get; private set; }
        /// <summary>The set behind the last answer.</summary>
        public IXdsResources? Seen { get; private set; }
        public string Nonce { get; set; } = "";
        public string Version { get; set; } = "";
        /// <summary>A response is outstanding: neither accepted nor rejected.</summary>
        public bool Outstanding => Sent.IsOutstanding;
        /// <summary>The client has accepted or rejected a response.</summary>
        public bool Confirmed { get; set; }
        public SentResponses Sent { get; } = new();
        /// <summary>Something changed while a response was outstanding.</summary>
        public bool Stale { get; set; }
        /// <summary>The first request has not been answered because the type is not served (yet).</summary>
        public bool Unanswered { get; set; }

        private HashSet<string>? _own; // subscribed names that no resource had
        private long _ownNames, _earlier;

        /// <summary>About how many bytes it holds that no other stream has.</summary>
        public long OwnBytes => StreamText.Bytes(Url) + _ownNames + _earlier + Sent.OwnBytes;

        /// <summary>The client has versions from an earlier stream.</summary>
        public void Begin(IDictionary<string, string> versions)
        {
            Earlier = new(versions, StringComparer.Ordinal);
            _earlier = versions.Sum(version => StreamText.Bytes(version.Key) + StreamText.Bytes(version.Value));
        }

        /// <summary>They are the virtual hosts of these tables. New ones are added to both.</summary>
        public void Follow(TypeState? tables)
        {
            if (Seen is not null || tables is null) return;
            Names.UnionWith(tables.Names);
            Wildcard = tables.Wildcard;
        }

        /// <summary>The subscription has a name of its own.</summary>
        public void Own(string name)
        {
            (_own ??= new(StringComparer.Ordinal)).Add(name);
            _ownNames += StreamText.Bytes(name);
        }

        /// <summary>Whether it was one that the client rejects.</summary>
        public bool Unsubscribe(string name)
        {
            Names.Remove(name);
            if (_own?.Remove(name) == true) _ownNames -= StreamText.Bytes(name);
            return !Wildcard && Sent.Withdraw([name]);
        }

        public bool Has(string name) => VersionOf(name) is not null;

        /// <summary>The version that the client has; null for none.</summary>
        public string? VersionOf(string name)
        {
            if (Seen is null) return Earlier?.GetValueOrDefault(name);
            return ((Wildcard && !Widened) || Names.Contains(name)) && Seen.TryGet(name, out var resource) ? Shown(resource).Version : null;
        }

        /// <summary>A resource as this client gets it.</summary>
        public XdsResource Shown(XdsResource resource) => takesHosts && resource.Head is { } head ? head : resource;

        public void Saw(IXdsResources resources)
        {
            (Seen, Earlier, _earlier, Widened) = (resources, null, 0, false);
            // A set keeps its capacity when it is cleared.
            if (Asked.Count > 0) Asked = new(StringComparer.Ordinal);
        }
    }
}
