using System.Net;
using System.Text;

namespace Isthmus.Proxy.Transports;

/// <summary>Who else gets an object of a filter state: the upstream connection, or also those that this one leads to.</summary>
internal enum StateSharing { None, Once, Transitive }

/// <summary>One object of a filter state.</summary>
/// <param name="Value">The object, as text.</param>
/// <param name="IsReadOnly">No other value takes its place.</param>
internal sealed record StateObject(string Value, StateSharing Sharing = StateSharing.None, bool IsReadOnly = false);

/// <summary>
/// What filters say of a request or a connection, by keys (Envoy's filter state). Immutable. Internal listeners get the shared part of it with a
/// connection: that is how one filter chain tells another one who the caller is.
/// </summary>
internal sealed class FilterState
{
    /// <summary>Where a connection to an internal listener was meant to go, and where it comes from, as <c>IP:PORT</c>.</summary>
    public const string LocalAddress = "envoy.filters.listener.original_dst.local_ip", RemoteAddress = "envoy.filters.listener.original_dst.remote_ip";

    /// <summary>The identity of the caller at the beginning of a tunnel, as its certificate proved it there.</summary>
    public const string PeerPrincipal = "io.istio.peer_principal";

    public static readonly FilterState Empty = new([], 0);

    private readonly KeyValuePair<string, StateObject>[] _objects;
    private FilterState? _shared;
    private string? _text;

    private FilterState(KeyValuePair<string, StateObject>[] objects, int depth) => (_objects, Depth) = (objects, depth);

    /// <summary>It has no objects.</summary>
    public bool IsEmpty => _objects.Length == 0;

    /// <summary>How many internal listeners the request or connection has passed.</summary>
    public int Depth { get; }

    /// <summary>What an upstream connection gets; those that are shared once go no further.</summary>
    public FilterState Shared => _shared ??= IsEmpty ? this : new(
        [.. _objects.Where(one => one.Value.Sharing != StateSharing.None).Select(one => KeyValuePair.Create(one.Key, Upstream(one.Value)))], Depth);

    /// <summary>The same without objects, for upstream connections that get none.</summary>
    public FilterState Bare => IsEmpty ? this : Depth == 0 ? Empty : new([], Depth);

    /// <summary>The same behind one more internal listener.</summary>
    public FilterState Inside => new(_objects, Depth + 1);

    /// <summary>All of it, for comparison: connections that differ here are no substitutes for one another.</summary>
    public string Text => _text ??= Write();

    /// <summary>The value of an object; null: there is none.</summary>
    public string? Find(string key)
    {
        foreach (var (known, value) in _objects)
            if (known == key) return value.Value;
        return null;
    }

    /// <summary>The address that an object is; null: there is none.</summary>
    public IPEndPoint? Address(string key) => Find(key) is { } text ? AddressText.Parse(text) : null;

    /// <summary>The state with one more object. An object that is read-only stays as it is.</summary>
    public FilterState With(string key, StateObject value)
    {
        var at = Array.FindIndex(_objects, one => one.Key == key);
        if (at < 0) return new([.. _objects, KeyValuePair.Create(key, value)], Depth);
        if (_objects[at].Value.IsReadOnly) return this;
        var changed = _objects.ToArray();
        changed[at] = KeyValuePair.Create(key, value);
        return new(changed, Depth);
    }

    private static StateObject Upstream(StateObject shared) => shared.Sharing == StateSharing.Once ? shared with { Sharing = StateSharing.None } : shared;

    // With lengths, so that no key or value can look like another object.
    private string Write()
    {
        var text = new StringBuilder();
        foreach (var (key, value) in _objects.OrderBy(one => one.Key, StringComparer.Ordinal))
            text.Append(key.Length).Append(':').Append(key).Append(value.Value.Length).Append(':').Append(value.Value)
                .Append((int)value.Sharing).Append(value.IsReadOnly ? 'r' : 'w');
        return text.ToString();
    }
}
