using Google.Protobuf.WellKnownTypes;
using Isthmus.Proxy.Filters;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Snapshot;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.HttpFilters;
using Isthmus.Wire.Envoy.NetworkFilters;
using Isthmus.Wire.Envoy.Routes;
using Xunit;
using TypedStruct = Isthmus.Wire.Envoy.XdsTypes.TypedStruct;

namespace Isthmus.Tests.Proxy;

/// <summary>HTTP filters that a future or foreign control plane sends: who may call could depend on them.</summary>
public sealed class UnknownHttpFilterTests
{
    private const string Future = "type.googleapis.com/envoy.extensions.filters.http.future.v3.Future";

    [Fact]
    public void An_unknown_filter_refuses_all_requests_and_is_named()
    {
        var (action, notes) = Decode(new HttpFilter { Name = "future", TypedConfig = new Any { TypeUrl = Future } });
        Assert.Equal("future", Assert.IsType<LackedFilter>(Assert.Single(action.Filters).Filter).Name);
        Assert.Equal([$"http filter 'future' with {Future} is not supported and refuses all requests"], notes);
    }

    [Fact]
    public void A_filter_whose_configuration_is_to_be_discovered_refuses_all_requests()
    {
        var (action, notes) = Decode(new HttpFilter { Name = "plugin", ConfigDiscovery = new() });
        Assert.Equal("plugin", Assert.IsType<LackedFilter>(Assert.Single(action.Filters).Filter).Name);
        Assert.Equal(["http filter 'plugin' with configuration by discovery is not supported and refuses all requests"], notes);
    }

    [Fact]
    public void The_proxy_does_without_an_optional_filter_and_names_it()
    {
        var (action, notes) = Decode(new HttpFilter { Name = "future", TypedConfig = new Any { TypeUrl = Future }, IsOptional = true });
        Assert.Empty(action.Filters);
        Assert.Equal([$"http filter 'future' with {Future} is not supported and is ignored"], notes);
    }

    [Fact]
    public void A_disabled_filter_does_nothing_where_routes_say_nothing()
    {
        var (action, notes) = Decode(new HttpFilter { Name = "future", TypedConfig = new Any { TypeUrl = Future }, Disabled = true });
        Assert.Empty(action.Running(null));
        Assert.IsType<LackedFilter>(Assert.Single(action.Filters).Filter);
        Assert.Empty(notes);
    }

    /// <summary>What is inside of a TypedStruct can be of a type that nobody knows, too, and a Value can be none.</summary>
    [Theory]
    [InlineData("envoy.extensions.filters.http.future.v3.Future", "{}", "a TypedStruct of envoy.extensions.filters.http.future.v3.Future")]
    [InlineData("envoy.extensions.filters.http.wasm.v3.Wasm", """{"config": {"configuration": {"@type": "type.googleapis.com/no.such.Type"} } }""",
        "a TypedStruct of envoy.extensions.filters.http.wasm.v3.Wasm: ")]
    [InlineData("envoy.extensions.filters.http.rbac.v3.RBAC", """{"no_such_field": 1}""", "a TypedStruct of envoy.extensions.filters.http.rbac.v3.RBAC: ")]
    public void A_TypedStruct_that_cannot_be_read_is_such_a_filter(string type, string fields, string told)
    {
        foreach (var value in (Struct[])[Struct.Parser.ParseJson(fields), new() { Fields = { ["x"] = new() } }])
        {
            var config = TypeNames.Pack(new TypedStruct { TypeUrl = $"type.googleapis.com/{type}", Value = value });
            var (action, notes) = Decode(new HttpFilter { Name = "future", TypedConfig = config });
            Assert.Equal("future", Assert.IsType<LackedFilter>(Assert.Single(action.Filters).Filter).Name);
            Assert.StartsWith($"http filter 'future' with {told}", Assert.Single(notes), StringComparison.Ordinal);
            // What is optional is a filter that the proxy lacks, not one whose configuration it cannot read.
            (action, notes) = Decode(new HttpFilter { Name = "future", TypedConfig = config, IsOptional = true });
            var isKnown = type.EndsWith(".RBAC", StringComparison.Ordinal);
            Assert.Equal(isKnown ? 1 : 0, action.Filters.Count);
            Assert.EndsWith(isKnown ? "refuses all requests" : "is ignored", Assert.Single(notes), StringComparison.Ordinal);
            // The token check looks at the filters after it.
            (action, _) = Decode(new HttpFilter { Name = "tokens", TypedConfig = TypeNames.Pack(new JwtAuthentication()) },
                new HttpFilter { Name = "future", TypedConfig = config });
            Assert.Equal([typeof(TokenFilter), typeof(LackedFilter)], action.Filters.Select(listed => listed.Filter.GetType()));
        }
    }

    private static (HttpAction Action, List<string> Notes) Decode(params HttpFilter[] filters)
    {
        var notes = new List<string>();
        var router = new HttpFilter { Name = "envoy.filters.http.router", TypedConfig = Any.Pack(new Router()) };
        return (HttpDecoder.Decode(new()
        {
            StatPrefix = "in", RouteConfig = new RouteConfiguration { Name = "in" }, HttpFilters = { filters, router },
        }, notes), notes);
    }
}
