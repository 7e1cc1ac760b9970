using System.Text;
using Isthmus.Proxy.Matching;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Transports;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.FilterStates;

namespace Isthmus.Proxy.Filters;

/// <summary>One object that requests get.</summary>
/// <param name="Value">How it is made of the request.</param>
/// <param name="IsAddress">A value that is not <c>IP:PORT</c> is not kept.</param>
/// <param name="SkipsEmpty">Nor is an empty one.</param>
internal sealed record StateRule(string Key, LogFormat Value, StateSharing Sharing, bool IsReadOnly, bool IsAddress, bool SkipsEmpty);

/// <summary>A set_filter_state filter: it keeps facts of requests as texts, for policies and for the internal listeners that requests go on to.</summary>
/// <param name="clearsRoute">The route is chosen again afterwards.</param>
internal sealed class SetStateFilter(string name, IReadOnlyList<StateRule> rules, bool clearsRoute) : RequestFilter(name)
{
    public static readonly HttpFilterKind Kind = HttpFilterKind.Of<Config>("envoy.filters.http.set_filter_state",
        (config, from) => new SetStateFilter(from.Name, [.. config.OnRequestHeaders.Select(Rule)], config.ClearRouteCache));

    /// <summary>The kinds of objects that are texts.</summary>
    private static readonly string[] Texts = ["envoy.string", "envoy.hashable_string", "istio.hashable_string"];

    public override FilterSteps Steps => FilterSteps.Request;

    public override ValueTask<FilterAnswer?> OnRequestAsync(FilteredRequest request)
    {
        var record = request.Record;
        foreach (var rule in rules)
        {
            var value = rule.Value.Format(record);
            if ((rule.SkipsEmpty && value.Length == 0) || (rule.IsAddress && AddressText.Parse(value) is null)) continue;
            record.State = record.State.With(rule.Key, new(value, rule.Sharing, rule.IsReadOnly));
        }
        if (clearsRoute) request.ForgetRoute();
        return default;
    }

    /// <exception cref="ResourceException">An object that this proxy does not have.</exception>
    private static StateRule Rule(FilterStateValue value)
    {
        if (value.KeyCase != FilterStateValue.KeyOneofCase.ObjectKey || value.ObjectKey.Length == 0)
            throw new ResourceException("set_filter_state: a value without an object_key");
        var (key, factory) = (value.ObjectKey, value.FactoryKey.Length > 0 ? value.FactoryKey : value.ObjectKey);
        var isAddress = key is FilterState.LocalAddress or FilterState.RemoteAddress && factory == key;
        if (!isAddress && !Texts.Contains(factory))
            throw new ResourceException($"set_filter_state: object_key '{key}' with factory_key '{factory}' is not supported: only {string.Join(", ", Texts)}, "
                + $"{FilterState.LocalAddress} and {FilterState.RemoteAddress} are");
        // Other parts of a proxy read those, and this one has none of them.
        if (!isAddress && key.StartsWith("envoy.", StringComparison.Ordinal))
            throw new ResourceException($"set_filter_state: object_key '{key}' is not supported");
        return new(key, Format(value, key), value.SharedWithUpstream switch
        {
            FilterStateValue.Types.SharedWithUpstream.Once => StateSharing.Once,
            FilterStateValue.Types.SharedWithUpstream.Transitive => StateSharing.Transitive,
            _ => StateSharing.None,
        }, value.ReadOnly, isAddress, value.SkipIfEmpty);
    }

    private static LogFormat Format(FilterStateValue value, string key)
    {
        var text = value.FormatString?.TextFormatSource switch
        {
            { SpecifierCase: DataSource.SpecifierOneofCase.InlineString } source => source.InlineString,
            { SpecifierCase: DataSource.SpecifierOneofCase.InlineBytes } source => Encoding.UTF8.GetString(source.InlineBytes.Span),
            _ => throw new ResourceException($"set_filter_state: format_string of '{key}' is not supported: only text_format_source with inline text is"),
        };
        try
        {
            return LogFormat.ParseText(text, value.FormatString.OmitEmptyValues);
        }
        catch (ResourceException e)
        {
            throw new ResourceException($"set_filter_state: format_string of '{key}': {e.Message}", e);
        }
    }
}
