using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Proxy.Matching;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Routes;
using Udpa = Isthmus.Wire.Envoy.Udpa;
using Xds = Isthmus.Wire.Envoy.XdsTypes;

namespace Isthmus.Proxy.Filters;

/// <summary>What a route says to a filter: that it is off, that it is on as it is, or how it is for the route.</summary>
internal enum RouteForm { Off, On, Own }

/// <summary>Typed configuration of extensions in its other forms.</summary>
internal static class TypedConfigs
{
    /// <summary>The message that a TypedStruct describes, or else the given one.</summary>
    /// <param name="any">The configuration; null if there is none.</param>
    /// <param name="plain">The message; empty without a configuration, and as given if the result is false.</param>
    /// <param name="fault">What is wrong, if the result is false.</param>
    /// <returns>False: the TypedStruct is not of a type that this proxy knows, or does not fit it.</returns>
    public static bool TryPlain(Any? any, out Any plain, out string fault)
    {
        (plain, fault) = (any ?? new(), "");
        try
        {
            if (plain.TryRead(out Udpa.TypedStruct old)) plain = Typed(old.TypeUrl, old.Value);
            else if (plain.TryRead(out Xds.TypedStruct now)) plain = Typed(now.TypeUrl, now.Value);
            return true;
        }
        catch (Exception e) when (ResourceException.IsFault(e))
        {
            fault = e.Message;
            return false;
        }
    }

    /// <summary>Configuration of a filter for a route, which may be wrapped.</summary>
    /// <param name="any">The configuration.</param>
    /// <param name="form">What it says.</param>
    /// <param name="config">The message; empty if the filter has no configuration of its own for the route.</param>
    /// <param name="fault">What is wrong, if the result is false.</param>
    /// <returns>False: the configuration cannot be read.</returns>
    public static bool TryForRoute(Any any, out RouteForm form, out Any config, out string fault)
    {
        form = RouteForm.Own;
        if (!TryPlain(any, out config, out fault)) return false;
        if (!config.TryRead(out FilterConfig wrapped)) return true;
        if (wrapped.Disabled || (wrapped.Config is { } own && EnabledFilters.Is(own)))
        {
            (form, config) = (wrapped.Disabled ? RouteForm.Off : RouteForm.On, new());
            return true;
        }
        return TryPlain(wrapped.Config, out config, out fault);
    }

    /// <summary>The type of a configuration, for people. What was read as JSON has the name of an unknown type as its value.</summary>
    public static string TypeOf(Any config) => config.TryRead(out StringValue placeholder) ? placeholder.Value : config.TypeUrl;

    /// <summary>The type that a TypedStruct describes; empty if it is not one.</summary>
    public static string StructTypeOf(Any config) =>
        config.TryRead(out Udpa.TypedStruct old) ? old.TypeUrl : config.TryRead(out Xds.TypedStruct now) ? now.TypeUrl : "";

    private static Any Typed(string typeUrl, Struct? value)
    {
        var name = typeUrl[(typeUrl.LastIndexOf('/') + 1)..];
        if (WireTypes.Registry.Find(name) is not { } type) throw new ResourceException($"a TypedStruct of {name}");
        try
        {
            return TypeNames.Pack((IMessage)WireTypes.Strict.Parse(WireTypes.Json.Format(value ?? new()), type));
        }
        catch (Exception e) when (ResourceException.IsFault(e))
        {
            throw new ResourceException($"a TypedStruct of {name}: {e.Message}", e);
        }
    }
}
