using System.Text.Json.Nodes;
using Isthmus.Explain.Tracing.Calls;
using Xunit;

namespace Isthmus.Tests.Tracing;

public sealed class LackedFilterTests
{
    /// <summary>Proxies of Isthmus refuse what a filter would decide that they do not have. Of Envoys, nobody else knows what they do.</summary>
    [Theory]
    [InlineData("caller", "http", "filter chain", 0)]
    [InlineData("caller", "network", "filter chain", 0)]
    [InlineData("caller", "listener", "listener", 0)]
    [InlineData("gateway", "network", "gateway chain", 2)]
    [InlineData("gateway", "listener", "gateway listener", 2)]
    [InlineData("callee", "http", "inbound", 1)]
    [InlineData("callee", "struct", "inbound", 1)]
    [InlineData("callee", "network", "inbound", 1)]
    [InlineData("callee", "listener", "inbound", 1)]
    public void A_filter_that_the_proxy_of_Isthmus_lacks_is_named(string where, string kind, string hop, int way)
    {
        const string typed = "\"typed_config\": {\"@type\": \"type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua\", \"x\": 1}";
        const string packed = "\"typed_config\": {\"@type\": \"type.googleapis.com/xds.type.v3.TypedStruct\", \"type_url\": "
            + "\"type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua\", \"value\": {}}";
        string With(string dump, Func<string, string> form)
        {
            var filter = $"{{\"name\": \"lua\", {(kind == "struct" ? packed : typed)}}}, ";
            var place = kind switch { "listener" => "\"traffic_direction\"", "network" => "\"filters\": [", _ => "\"http_filters\": [" };
            var at = place == "\"traffic_direction\"" && !dump.Contains(place, StringComparison.Ordinal) ? "\"listener_filters\": [" : place;
            return form(at switch
            {
                "\"listener_filters\": [" => dump.Replace(at, at + filter, StringComparison.Ordinal),
                "\"traffic_direction\"" when dump.Contains("\"listener_filters\": [", StringComparison.Ordinal) =>
                    dump.Replace("\"listener_filters\": [", $"\"listener_filters\": [{filter}", StringComparison.Ordinal),
                "\"traffic_direction\"" => dump.Replace(at, $"\"listener_filters\": [{filter.TrimEnd(',', ' ')}], {at}", StringComparison.Ordinal),
                _ => dump.Replace(at, at + filter, StringComparison.Ordinal),
            });
        }
        TraceScenario Scenario(Func<string, string> form)
        {
            var scenario = new TraceScenario();
            if (where == "caller") scenario.Client = With(scenario.Client, form);
            else if (where == "gateway") scenario.Gateway = With(scenario.Gateway, form);
            else scenario.Callee = With(scenario.Callee, form);
            return scenario;
        }
        var failed = Scenario(dump => dump).Walk().Failure!;
        Assert.Equal((hop, way, "ISM2103", "lua"), (failed.Name, failed.Way, failed.Problem!.Code, failed.Problem.Path));
        var trace = Scenario(TraceScenario.Envoy).Walk();
        Assert.True(trace.Succeeds);
        Assert.Contains(trace.Hops, one => one.Name == hop && one.Way == way && one.Status == HopStatus.Unknown
            && one.Summary.Contains("knows what the filter lua does with the call", StringComparison.Ordinal));
    }

    /// <summary>A filter that the route switches off decides nothing: neither one that the proxy lacks, nor a policy.</summary>
    [Theory]
    [InlineData("caller", "xds.type.v3.TypedStruct\", \"type_url\": \"future.Filter", 0, "filter chain", "ISM2103")]
    [InlineData("callee", "xds.type.v3.TypedStruct\", \"type_url\": \"future.Filter", 1, "inbound", "ISM2103")]
    [InlineData("callee", "envoy.extensions.filters.http.rbac.v3.RBAC\", \"rules\": {}, \"shadow_rules_stat_prefix\": \"", 1, "inbound", "")]
    public void A_filter_that_the_route_switches_off_decides_nothing(string where, string type, int way, string hop, string code)
    {
        const string match = "{\"match\": {\"prefix\": \"/\"}, ", filters = "\"http_filters\": [";
        const string off = "\"typed_per_filter_config\": {\"mine\": "
            + "{\"@type\": \"type.googleapis.com/envoy.config.route.v3.FilterConfig\", \"disabled\": true}}, ";
        TraceScenario Scenario(bool isOff)
        {
            string With(string dump)
            {
                var listed = dump.Replace(filters, $"{filters}{{\"name\": \"mine\", \"typed_config\": {{\"@type\": \"type.googleapis.com/{type}\"}}}}, ",
                    StringComparison.Ordinal);
                return isOff ? listed.Replace(match, match + off, StringComparison.Ordinal) : listed;
            }
            var scenario = new TraceScenario();
            if (where == "caller") scenario.Client = With(scenario.Client);
            else scenario.Callee = With(scenario.Callee);
            return scenario;
        }
        var failed = Scenario(isOff: false).Walk().Failure!;
        Assert.Equal((hop, way), (failed.Name, failed.Way));
        if (code.Length > 0) Assert.Equal(code, failed.Problem!.Code);
        Assert.True(Scenario(isOff: true).Walk().Succeeds);
    }

    /// <summary>The route switches it on with a configuration that is empty, for which dumps of proxies have no type.</summary>
    [Theory]
    [InlineData("", true)]
    [InlineData("\"typed_per_filter_config\": {\"mine\": {\"@type\": \"type.googleapis.com/envoy.config.route.v3.FilterConfig\", "
        + "\"config\": {}}}, ", false)]
    public void A_filter_that_is_off_decides_where_the_route_switches_it_on(string route, bool succeeds)
    {
        const string match = "{\"match\": {\"prefix\": \"/\"}, ", filters = "\"http_filters\": [", denial = "{\"name\": \"mine\", "
            + "\"disabled\": true, \"typed_config\": {\"@type\": \"type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC\", \"rules\": {}}}, ";
        var scenario = new TraceScenario();
        scenario.Callee = scenario.Callee.Replace(filters, filters + denial, StringComparison.Ordinal).Replace(match, match + route, StringComparison.Ordinal);
        var trace = scenario.Walk();
        Assert.Equal(succeeds, trace.Succeeds);
        if (!succeeds) Assert.Equal("inbound", trace.Failure!.Name);
    }

    [Theory]
    [InlineData("caller", "route", 0)]
    [InlineData("callee", "inbound", 1)]
    public void Policies_of_a_route_that_the_proxy_does_not_apply_are_named(string where, string hop, int way)
    {
        const string match = "{\"match\": {\"prefix\": \"/\"}, ";
        const string policies = "\"typed_per_filter_config\": {\"mine\": {\"@type\": "
            + "\"type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute\"}}, ";
        const string filters = "\"http_filters\": [";
        const string filter = "{\"name\": \"mine\", \"typed_config\": {\"@type\": \"type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC\"}}, ";
        static string With(string dump) =>
            dump.Replace(match, match + policies, StringComparison.Ordinal).Replace(filters, filters + filter, StringComparison.Ordinal);
        TraceScenario Scenario(Func<string, string> form)
        {
            var scenario = new TraceScenario();
            if (where == "caller") scenario.Client = form(With(scenario.Client));
            else scenario.Callee = form(With(scenario.Callee));
            return scenario;
        }
        var failed = Scenario(dump => dump).Walk().Failure!;
        Assert.Equal((hop, way, "ISM2103", "mine"), (failed.Name, failed.Way, failed.Problem!.Code, failed.Problem.Path));
        Assert.True(Scenario(TraceScenario.Envoy).Walk().Succeeds);
    }

    /// <summary>The only chain of a gateway has none.</summary>
    [Fact]
    public void A_chain_without_a_name_is_not_named()
    {
        var scenario = new TraceScenario();
        TraceWalkTests.Inject(scenario, "denied");
        Assert.Contains(": denied", scenario.Walk().Hops.First(hop => hop.Name == "inbound").Summary, StringComparison.Ordinal);
        var page = JsonNode.Parse(scenario.Callee)!;
        void Unname(JsonNode? node)
        {
            if (node is JsonObject one)
            {
                foreach (var chain in one["filter_chains"] as JsonArray ?? []) chain!.AsObject().Remove("name");
                foreach (var (_, child) in one) Unname(child);
            }
            else if (node is JsonArray all) foreach (var child in all) Unname(child);
        }
        Unname(page);
        scenario.Callee = page.ToJsonString();
        Assert.Equal("denied", scenario.Walk().Hops.First(hop => hop.Name == "inbound").Summary);
    }
}
