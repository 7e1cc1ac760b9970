using Google.Protobuf.WellKnownTypes;
using Isthmus.Proxy.Policy;
using Isthmus.Proxy.Snapshot;
using Isthmus.Wire.Envoy.HttpFilters;
using Isthmus.Wire.Envoy.NetworkFilters;
using Isthmus.Wire.Envoy.Routes;
using Xunit;

namespace Isthmus.Tests.Proxy;

/// <summary>HTTP filters that a future or foreign control plane sends: who may call could depend on them.</summary>
public sealed class UnknownHttpFilterTests
{
    private const string Future = "type.googleapis.com/envoy.extensions.filters.http.future.v3.Future";

    [Fact]
    public void An_unknown_filter_refuses_all_requests_and_is_named()
    {
        var (action, notes) = Decode(new HttpFilter { Name = "future", TypedConfig = new Any { TypeUrl = Future } });
        Assert.False(Assert.IsType<RbacFilter>(Assert.Single(action.Filters)).Decide(default).IsAllowed);
        Assert.Equal([$"http filter 'future' with {Future} is not supported and refuses all requests"], notes);
    }

    [Fact]
    public void A_filter_whose_configuration_is_to_be_discovered_refuses_all_requests()
    {
        var (action, notes) = Decode(new HttpFilter { Name = "plugin", ConfigDiscovery = new() });
        Assert.False(Assert.IsType<RbacFilter>(Assert.Single(action.Filters)).Decide(default).IsAllowed);
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
    public void A_disabled_filter_does_nothing()
    {
        var (action, notes) = Decode(new HttpFilter { Name = "future", TypedConfig = new Any { TypeUrl = Future }, Disabled = true });
        Assert.Empty(action.Filters);
        Assert.Empty(notes);
    }

    private static (HttpAction Action, List<string> Notes) Decode(HttpFilter filter)
    {
        var notes = new List<string>();
        var router = new HttpFilter { Name = "envoy.filters.http.router", TypedConfig = Any.Pack(new Router()) };
        return (HttpDecoder.Decode(new()
        {
            StatPrefix = "in", RouteConfig = new RouteConfiguration { Name = "in" }, HttpFilters = { filter, router },
        }, notes), notes);
    }
}
