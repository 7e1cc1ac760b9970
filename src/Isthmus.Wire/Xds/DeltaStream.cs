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

    public bool Begins(DeltaDiscoveryRequest request) => Find(request.TypeUrl) is null && Served(_snapshot, request.TypeUrl) is not null;

    /// <summary>A client's request; returns what to answer now, in order.</summary>
    public IReadOnlyList<DeltaDiscoveryResponse> Receive(DeltaDiscoveryRequest request)
    {
        if (request.Node is { } node) _takesHosts = node.ClientFeatures.Contains(VirtualHosts.Feature);
        var type = Find(request.TypeUrl);
        var isNew = type is null;
        if (type is null)
        {
            // A nonce of an earlier stream is ignored: the subscription counts as new.
            type = new(request.TypeUrl, _takesHosts && request.TypeUrl == TypeUrls.Route) { Wildcard = request.ResourceNamesSubscribe.Count == 0 };
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
        if (type.Url == TypeUrls.Route && Find(TypeUrls.VirtualHost) is { Asked.Count: > 0 } hosts) Answer(hosts, answers, always: false);
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
            if (ReferenceEquals(Served(before, type.Url), Served(snapshot, type.Url)) && !type.Stale) continue;
            if (type.Outstanding) type.Stale = true;
            else Answer(type, answers, always: type.Unanswered);
        }
        return answers;
    }

    /// <summary>What a type is answered from; null: it is not served. Virtual hosts are parts of route tables.</summary>
    private static IXdsResources? Served(XdsSnapshot snapshot, string url) =>
        snapshot.Types.GetValueOrDefault(url == TypeUrls.VirtualHost ? TypeUrls.Route : url);

    private TypeState? Find(string url)
    {
        foreach (var type in _types)
            if (type.Url == url) return type;
        return null;
    }

    private void Acknowledge(TypeState type, DeltaDiscoveryRequest request)
    {
        if (request.ResponseNonce.Length == 0 || type.Take(request.ResponseNonce) is not { } names) return;
        type.Confirmed = true;
        // A rejected resource counts as delivered: it is sent again only when it changes.
        type.Answered(names, request.ErrorDetail?.Message);
        observe(new(request.ErrorDetail is null ? XdsEventKind.Acknowledged : XdsEventKind.Rejected, type.Url, request.ResponseNonce, type.Version, 0,
            type.Rejections));
        // A table is accepted together with its virtual hosts.
        if (request.ErrorDetail is null && _takesHosts && PartnerOf(type) is { } partner && partner.Withdraw(names))
            observe(new(XdsEventKind.Withdrawn, partner.Url, partner.Nonce, partner.Version, 0, partner.Rejections));
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
        if (withdrawn) observe(new(XdsEventKind.Withdrawn, type.Url, request.ResponseNonce, type.Version, 0, type.Rejections));
        foreach (var asked in request.ResourceNamesSubscribe)
        {
            if (asked == "*")
            {
                type.Widened |= !type.Wildcard;
                type.Wildcard = true;
                continue;
            }
            // The name's own copy in the request would live as long as the stream.
            var name = Served(_snapshot, type.Url)?.TryGet(asked, out var known) == true ? known.Name : asked;
            type.Asked.Add(name);
            if (!type.Names.Add(name)) type.Earlier?.Remove(name);
            else if (ReferenceEquals(name, asked)) type.Own(name);
        }
        // A table's virtual hosts come with it.
        if (type.Url == TypeUrls.Route && Find(TypeUrls.VirtualHost) is { } hosts) Subscribe(hosts, request);
    }

    private void Answer(TypeState type, List<DeltaDiscoveryResponse> answers, bool always)
    {
        if (Served(_snapshot, type.Url) is not { } resources)
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

    private static void AddIfChanged(TypeState type, XdsResource resource, DeltaDiscoveryResponse response)
    {
        var isAsked = type.Seen is not null && type.Asked.Contains(resource.Name);
        var shown = type.Shown(resource);
        if (!isAsked && type.VersionOf(resource.Name) == shown.Version) return;
        response.Resources.Add(new Resource { Name = resource.Name, Version = shown.Version, Resource_ = shown.Body });
    }

    /// <summary>The virtual hosts of tables: all of one that is asked for, or else what changed.</summary>
    private void AddHosts(TypeState type, IXdsResources tables, IReadOnlyCollection<string>? changed, DeltaDiscoveryResponse response)
    {
        var current = type.Earlier is null ? null : new HashSet<string>(StringComparer.Ordinal);
        foreach (var name in changed is null ? type.Names : changed.Where(type.Names.Contains).Union(type.Asked))
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
            else if (TableOf(seen, name) is not { } before) response.Resources.Add(now?.Hosts ?? []);
            else if (now is null) response.RemovedResources.Add(before.Hosts.Select(host => host.Name));
            else if (!ReferenceEquals(before, now))
            {
                var changes = now.HostsSince(before);
                response.Resources.Add(changes.Changed);
                response.RemovedResources.Add(changes.Removed);
            }
        }
        if (current is not null) response.RemovedResources.Add(type.Earlier!.Keys.Where(name => !current.Contains(name)));
    }

    /// <summary>A client has subscribed to all virtual hosts of its tables. It may ask for single ones, which it lacks because there are none.</summary>
    private void AnswerSingle(TypeState type, DeltaDiscoveryRequest request, List<DeltaDiscoveryResponse> answers, bool isNew)
    {
        if (isNew || type.Stale) Answer(type, answers, always: isNew);
        if (request.ResourceNamesSubscribe.Count == 0) return;
        var response = NewResponse(type);
        // As Envoy has it, for requests that wait for it.
        foreach (var name in request.ResourceNamesSubscribe) response.Resources.Add(new Resource { Name = name, Aliases = { name } });
        Send(type, response, answers);
    }

    /// <summary>A table whose virtual hosts this client gets as resources of their own; null: there is none.</summary>
    private XdsResource? TableOf(IXdsResources tables, string name) =>
        Find(TypeUrls.Route)?.IsByHost == true && tables.TryGet(name, out var table) && table.Parts?.AreResources == true ? table : null;

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
        var names = response.Resources.Select(resource => resource.Name).Concat(response.RemovedResources);
        // A client takes a table, or refuses it.
        type.Await(type.Url == TypeUrls.VirtualHost ? [.. names.Select(VirtualHosts.TableIn).Distinct()] : [.. names]);
        answers.Add(response);
        observe(new(XdsEventKind.Sent, type.Url, response.Nonce, type.Version, response.Resources.Count, ""));
    }

    /// <param name="takesHosts">It is the type of route tables, and the client takes their virtual hosts as another type.</param>
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
        public bool Outstanding => _sent.Count > 0;
        /// <summary>The client has accepted or rejected a response.</summary>
        public bool Confirmed { get; set; }
        /// <summary>The names in each outstanding response; of tables where it has virtual hosts.</summary>
        private readonly Queue<(string Nonce, string[] Names)> _sent = new();
        /// <summary>Why the client rejected resources, by name. An answer is about the resources of its response only.</summary>
        private readonly Dictionary<string, string> _rejected = new(StringComparer.Ordinal);
        private long _reasons;
        /// <summary>Something changed while a response was outstanding.</summary>
        public bool Stale { get; set; }
        /// <summary>The first request has not been answered because the type is not served (yet).</summary>
        public bool Unanswered { get; set; }

        /// <summary>A client that never answers, but asks, makes no more than this many wait.</summary>
        private const int MostOutstanding = 16;

        private HashSet<string>? _own; // subscribed names that no resource had
        private long _ownNames, _earlier;

        /// <summary>About how many bytes it holds that no other stream has.</summary>
        public long OwnBytes => StreamText.Bytes(Url) + _ownNames + _earlier + _reasons;

        /// <summary>The client has versions from an earlier stream.</summary>
        public void Begin(IDictionary<string, string> versions)
        {
            Earlier = new(versions, StringComparer.Ordinal);
            _earlier = versions.Sum(version => StreamText.Bytes(version.Key) + StreamText.Bytes(version.Value));
        }

        /// <summary>They are the virtual hosts of these tables. New ones are added to both.</summary>
        public void Follow(TypeState? tables)
        {
            if (Seen is null) Names.UnionWith(tables?.Names ?? []);
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
            if (Wildcard || !_rejected.Remove(name)) return false;
            CountReasons();
            return true;
        }

        /// <summary>Whether the client rejected some of them.</summary>
        public bool Withdraw(string[] names)
        {
            if (_rejected.Count == 0 || Array.FindAll(names, _rejected.Remove).Length == 0) return false;
            CountReasons();
            return true;
        }

        public bool Has(string name) => VersionOf(name) is not null;

        /// <summary>The reasons of everything that the client rejects at present; empty when that is nothing.</summary>
        public string Rejections => _rejected.Count == 0 ? "" : string.Join("; ", _rejected.Values.Distinct());

        /// <summary>The response with the last nonce was sent.</summary>
        public void Await(string[] names)
        {
            _sent.Enqueue((Nonce, names));
            if (_sent.Count > MostOutstanding) _sent.Dequeue();
        }

        /// <summary>What was sent with a nonce: the client has answered that, and everything before.</summary>
        /// <returns>Null: there is no such response.</returns>
        public string[]? Take(string nonce)
        {
            var isKnown = false;
            foreach (var sent in _sent) isKnown |= sent.Nonce == nonce;
            while (isKnown && _sent.TryDequeue(out var taken))
                if (taken.Nonce == nonce) return taken.Names;
            return null;
        }

        /// <param name="names">What the response had.</param>
        /// <param name="error">Null: the client accepted it.</param>
        public void Answered(string[] names, string? error)
        {
            if (error is null && _rejected.Count == 0) return;
            foreach (var name in names) _rejected.Remove(name);
            if (error is not null)
            {
                var named = Array.FindAll(names, name => error.Contains(name, StringComparison.Ordinal));
                var kept = StreamText.Shorten(error);
                foreach (var name in named.Length > 0 ? named : names) _rejected[name] = kept;
            }
            CountReasons();
        }

        private void CountReasons() => _reasons = _rejected.Count == 0 ? 0 : _rejected.Values.Distinct().Sum(StreamText.Bytes);

        /// <summary>The version that the client has; null for none.</summary>
        public string? VersionOf(string name)
        {
            if (Seen is null) return Earlier?.GetValueOrDefault(name);
            return ((Wildcard && !Widened) || Names.Contains(name)) && Seen.TryGet(name, out var resource) ? Shown(resource).Version : null;
        }

        /// <summary>Virtual hosts are sent for the tables that a client names.</summary>
        public bool IsByHost => takesHosts && !Wildcard;

        /// <summary>A resource as this client gets it.</summary>
        public XdsResource Shown(XdsResource resource) => IsByHost && resource.Head is { } head ? head : resource;

        public void Saw(IXdsResources resources)
        {
            (Seen, Earlier, _earlier, Widened) = (resources, null, 0, false);
            // A set keeps its capacity when it is cleared.
            if (Asked.Count > 0) Asked = new(StringComparer.Ordinal);
        }
    }
}
