using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Proxy.Matching;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Routes;
using Udpa = Isthmus.Wire.Envoy.Udpa;
using Xds = Isthmus.Wire.Envoy.XdsTypes;

namespace Isthmus.Proxy.Snapshot;

/// <summary>Typed configuration of extensions in its other forms.</summary>
internal static class TypedConfigs
{
    /// <summary>The message that a TypedStruct describes, or else the given one.</summary>
    /// <exception cref="ResourceException">The TypedStruct is not of a type that this proxy knows, or does not fit it.</exception>
    public static Any Plain(Any any)
    {
        if (any.TryRead(out Udpa.TypedStruct old)) return Typed(old.TypeUrl, old.Value);
        return any.TryRead(out Xds.TypedStruct now) ? Typed(now.TypeUrl, now.Value) : any;
    }

    /// <summary>Configuration of a filter for a route, which may be wrapped; null: the filter is off for the route.</summary>
    /// <exception cref="ResourceException">The configuration cannot be read.</exception>
    public static Any? ForRoute(Any any) =>
        Plain(any) is { } plain && plain.TryRead(out FilterConfig wrapped) ? (wrapped.Disabled ? null : Plain(wrapped.Config)) : Plain(any);

    private static Any Typed(string typeUrl, Struct? value)
    {
        var name = typeUrl[(typeUrl.LastIndexOf('/') + 1)..];
        if (WireTypes.Registry.Find(name) is not { } type) throw new ResourceException($"TypedStruct of {name} is not supported");
        try
        {
            return TypeNames.Pack((IMessage)WireTypes.Strict.Parse(WireTypes.Json.Format(value ?? new()), type));
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new ResourceException($"TypedStruct of {name}: {e.Message}");
        }
    }
}
