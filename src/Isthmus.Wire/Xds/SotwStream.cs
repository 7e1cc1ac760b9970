using Google.Protobuf.Collections;
using Isthmus.Wire.Envoy;

namespace Isthmus.Wire.Xds;

/// <summary>A server's state of one state-of-the-world stream; decides what to send and does no I/O. Not thread-safe.</summary>
/// <remarks>What the client has is the set behind the last answer, as far as it subscribes to it. That set is shared with
/// other streams, so an acknowledgement or a push costs what changed, not what there is.</remarks>
/// <param name="repeated">Takes the names that the client subscribes to, for the reader of its requests.</param>
public sealed class SotwStream(string noncePrefix, ControlPlane? controlPlane, Action<XdsEvent> observe, RepeatedNames? repeated = null)
    : IXdsStream<DiscoveryRequest, DiscoveryResponse>
{
    private readonly Dictionary<string, TypeState> _types = new(StringComparer.Ordinal);
    private readonly RepeatedNames _repeated = repeated ?? new();
    private XdsSnapshot _snapshot = XdsSnapshot.Empty;
    private long _nonce;

    public bool IsBeginning => _types.Values.Any(type => type is { Outstanding: true, Confirmed: false });

    public long OwnBytes => _types.Values.Sum(type => StreamText.Bytes(type.Url) + type.OwnNames);

    public bool IsUnanswered => _types.Values.Any(type => type.Unanswered);

    public bool Begins(DiscoveryRequest request) => !_types.ContainsKey(request.TypeUrl) && _snapshot.Types.ContainsKey(request.TypeUrl);

    /// <summary>A client's request; returns what to answer now, in order.</summary>
    public IReadOnlyList<DiscoveryResponse> Receive(DiscoveryRequest request)
    {
        var answers = new List<DiscoveryResponse>();
        if (!_types.TryGetValue(request.TypeUrl, out var type))
        {
            // Its version and nonce belong to another stream: send the full state.
            _types[request.TypeUrl] = type = new(request.TypeUrl);
            Subscribe(type, request);
            Answer(type, answers, always: true, []);
            return answers;
        }
        if (request.ResponseNonce.Length == 0)
        {
            Subscribe(type, request);
            type.Seen = null;
            Answer(type, answers, always: true, []);
            if (type.Url == TypeUrls.Cluster) RepeatEndpoints(answers);
            return answers;
        }
        if (request.ResponseNonce != type.Nonce) return answers;

        Acknowledge(type, request);
        var added = Subscribe(type, request);
        if (added.Count > 0) Answer(type, answers, always: true, added);
        else if (type.Stale) Answer(type, answers, always: false, []);
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
            else Answer(type, answers, always: type.Unanswered, []);
        }
        return answers;
    }

    private void Acknowledge(TypeState type, DiscoveryRequest request)
    {
        type.Outstanding = false;
        type.Confirmed = true;
        // A rejected resource is sent again only when it changes.
        observe(request.ErrorDetail is { } error
            ? new(XdsEventKind.Rejected, type.Url, request.ResponseNonce, type.Version, 0, StreamText.Shorten(error.Message))
            : new(XdsEventKind.Acknowledged, type.Url, request.ResponseNonce, type.Version, 0, ""));
    }

    /// <summary>The newly subscribed names.</summary>
    private IReadOnlyCollection<string> Subscribe(TypeState type, DiscoveryRequest request)
    {
        // Almost every request is an acknowledgement that repeats the names of the one before.
        if (Repeats(request) || type.IsSame(request.ResourceNames)) return [];
        var names = new HashSet<string>(request.ResourceNames.Count, StringComparer.Ordinal);
        // The copies of names in the request would live as long as the stream.
        var served = _snapshot.Types.GetValueOrDefault(type.Url);
        var order = new string[request.ResourceNames.Count];
        var own = 0L;
        for (var i = 0; i < order.Length; i++)
        {
            var name = request.ResourceNames[i];
            var known = served?.TryGet(name, out var resource) == true ? resource.Name : null;
            var isNew = names.Add(order[i] = known ?? name);
            own += known is null ? StreamText.Bytes(name) : isNew ? 0 : IntPtr.Size;
        }
        type.OwnNames = own;
        _repeated.Remember(type.Url, order);
        var wasWildcard = type.Wildcard;
        type.Wildcard = names.Remove("*") || (names.Count == 0 && (type.Wildcard || TypeUrls.IsWildcard(type.Url)));
        type.Widened |= type.Wildcard && !wasWildcard;
        var added = names.Where(name => !type.Names.Contains(name)).ToHashSet(StringComparer.Ordinal);
        var same = added.Count == 0 && names.Count == type.Names.Count;
        type.Names = names;
        if (!same) observe(new(XdsEventKind.Subscribed, type.Url, request.ResponseNonce, "", names.Count, ""));
        return added;
    }

    /// <summary>Whether a request has the names of the one before, in the same order: usually the same objects.</summary>
    private bool Repeats(DiscoveryRequest request)
    {
        if (_repeated.Of(request.TypeUrl) is not { } names || names.Length != request.ResourceNames.Count) return false;
        for (var i = 0; i < names.Length; i++)
            if (names[i] != request.ResourceNames[i]) return false;
        return true;
    }

    /// <param name="added">Names that are answered whether changed or not.</param>
    private void Answer(TypeState type, List<DiscoveryResponse> answers, bool always, IReadOnlyCollection<string> added)
    {
        if (!_snapshot.Types.TryGetValue(type.Url, out var resources))
        {
            type.Unanswered |= always;
            return;
        }
        var isWhole = type.Wildcard || TypeUrls.IsWildcard(type.Url);
        var changed = Changed(type, resources, added);
        type.Seen = resources;
        (type.Stale, type.Unanswered, type.Widened) = (false, false, false);
        if (!always && changed.Count == 0) return;
        // Clusters and listeners: absence means removal, so the whole set is sent when any of it changed. Of other types,
        // only changes are sent; absence does not mean removal.
        var send = isWhole ? Everything(type, resources) : Existing(changed, resources);
        if (!always && send.Count == 0 && !isWhole) return;
        Send(type, send, answers);
    }

    /// <summary>The subscribed names whose resources the client does not have in this version, or must lose.</summary>
    private static List<string> Changed(TypeState type, IXdsResources resources, IReadOnlyCollection<string> added)
    {
        var candidates = type.Seen is { } seen && !type.Widened ? resources.ChangedSince(seen) : null;
        candidates ??= type.Wildcard ? [.. resources.All.Concat(type.Seen?.All ?? []).Select(resource => resource.Name), .. type.Names] : type.Names;
        var changed = new List<string>(added);
        var forced = added as IReadOnlySet<string>;
        foreach (var name in candidates)
        {
            if (forced?.Contains(name) == true || (!type.Wildcard && !type.Names.Contains(name))) continue;
            var version = resources.TryGet(name, out var resource) ? resource.Version : null;
            if (version != type.VersionOf(name)) changed.Add(name);
        }
        return changed;
    }

    private static List<XdsResource> Everything(TypeState type, IXdsResources resources)
    {
        if (!type.Wildcard) return Existing(type.Names, resources);
        var all = new List<XdsResource>(resources.All);
        if (type.Names.Count == 0) return all;
        var sent = all.Select(resource => resource.Name).ToHashSet(StringComparer.Ordinal);
        all.AddRange(Existing([.. type.Names.Where(name => !sent.Contains(name))], resources));
        return all;
    }

    private static List<XdsResource> Existing(IReadOnlyCollection<string> names, IXdsResources resources)
    {
        var found = new List<XdsResource>(names.Count);
        foreach (var name in names)
            if (resources.TryGet(name, out var resource)) found.Add(resource);
        return found;
    }

    /// <summary>Clusters that were requested again warm up only when their endpoints are sent again.</summary>
    private void RepeatEndpoints(List<DiscoveryResponse> answers)
    {
        if (!_types.TryGetValue(TypeUrls.Endpoints, out var endpoints) || endpoints.Names.Count == 0) return;
        endpoints.Seen = null;
        Answer(endpoints, answers, always: false, []);
    }

    private void Send(TypeState type, List<XdsResource> resources, List<DiscoveryResponse> answers)
    {
        type.Nonce = $"{noncePrefix}-{++_nonce}";
        type.Version = _snapshot.Version;
        type.Outstanding = true;
        var response = new DiscoveryResponse { TypeUrl = type.Url, VersionInfo = type.Version, Nonce = type.Nonce, ControlPlane = controlPlane };
        response.Resources.Capacity = resources.Count;
        foreach (var resource in resources) response.Resources.Add(resource.Body);
        answers.Add(response);
        observe(new(XdsEventKind.Sent, type.Url, type.Nonce, type.Version, resources.Count, ""));
    }

    private sealed class TypeState(string url)
    {
        public string Url { get; } = url;
        public bool Wildcard { get; set; } = TypeUrls.IsWildcard(url);
        /// <summary>The wildcard subscription began after the last answer.</summary>
        public bool Widened { get; set; }
        public HashSet<string> Names { get; set; } = new(StringComparer.Ordinal);
        /// <summary>About how many bytes of names only this stream holds.</summary>
        public long OwnNames { get; set; }
        /// <summary>The set behind the last answer; null if the client has nothing of this stream.</summary>
        public IXdsResources? Seen { get; set; }
        public string Nonce { get; set; } = "";
        public string Version { get; set; } = "";
        public bool Outstanding { get; set; }
        /// <summary>The client has accepted or rejected a response.</summary>
        public bool Confirmed { get; set; }
        public bool Stale { get; set; }
        public bool Unanswered { get; set; }

        public string? VersionOf(string name) =>
            ((Wildcard && !Widened) || Names.Contains(name)) && Seen?.TryGet(name, out var resource) == true ? resource.Version : null;

        /// <summary>Whether a request repeats the subscription.</summary>
        public bool IsSame(RepeatedField<string> names)
        {
            if (names.Count == 0) return Names.Count == 0 && (Wildcard || !TypeUrls.IsWildcard(Url));
            if (names.Count != Names.Count || Wildcard) return false;
            foreach (var name in names)
                if (!Names.Contains(name)) return false;
            return true;
        }
    }
}
