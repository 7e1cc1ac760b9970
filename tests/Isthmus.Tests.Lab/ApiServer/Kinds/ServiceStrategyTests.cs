using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Kinds;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Values;
using Xunit;

namespace Isthmus.Tests.Lab.ApiServer.Kinds;

public sealed class ServiceStrategyTests : IDisposable
{
    private readonly StoreRig _rig = new();

    private KindDescriptor Kind => _rig.Kind("", "v1", "services");

    [Theory]
    [InlineData("web", true)]
    [InlineData("3scale", true)]
    [InlineData("10", true)]
    [InlineData("-web", false)]
    [InlineData("Web", false)]
    [InlineData("a.b", false)]
    public void A_name_is_a_label_that_may_begin_with_a_digit(string name, bool isValid) => Assert.Equal(isValid, Kind.Strategy.NameProblem(name) is null);

    [Fact]
    public void A_minimal_Service_gets_an_address_and_its_defaults()
    {
        var spec = Create("""{"ports": [{"port": 80}]}""")["spec"];
        Assert.StartsWith("10.96.", spec.TextAt("clusterIP"), StringComparison.Ordinal);
        Assert.Equal([spec.TextAt("clusterIP")], Json.Texts(spec.At("clusterIPs")).Items);
        Assert.Equal("ClusterIP", spec.TextAt("type"));
        Assert.Equal("SingleStack", spec.TextAt("ipFamilyPolicy"));
        Assert.Equal("Cluster", spec.TextAt("internalTrafficPolicy"));
        var port = Assert.Single(Json.Objects(spec.At("ports")));
        Assert.Equal(("TCP", 80L), (Json.Text(port["protocol"]), Json.Whole(port["targetPort"])));
        Assert.Null(port["nodePort"]);
    }

    [Fact]
    public void A_headless_Service_without_selector_has_both_families()
    {
        var spec = Create("""{"clusterIP": "None", "ports": [{"port": 80}]}""")["spec"];
        Assert.Equal("RequireDualStack", spec.TextAt("ipFamilyPolicy"));
        Assert.Equal(["None"], Json.Texts(spec.At("clusterIPs")).Items);
    }

    [Fact]
    public void A_local_load_balancer_has_a_node_port_and_a_health_port()
    {
        var spec = Create("""{"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": [{"port": 80}]}""")["spec"];
        Assert.InRange(Json.Whole(Json.Objects(spec.At("ports")).Single()["nodePort"])!.Value, 30000, 32767);
        Assert.InRange(Json.Whole(spec.At("healthCheckNodePort"))!.Value, 30000, 32767);
    }

    [Fact]
    public void Node_ports_that_nobody_names_leave_the_lower_part_to_those_that_somebody_names()
    {
        var allocator = new ServiceAllocator(_rig.Objects, "10.96.0.0/16", new(1));
        long?[] upper = [.. Enumerable.Range(0, 2682).Select(_ => allocator.TakeAnyPort())];
        Assert.Equal(Enumerable.Range(30086, 2682).Select(port => (long?)port), upper.Order());
        Assert.Null(allocator.TakePort(30085));
        Assert.Equal(Enumerable.Range(30000, 85).Select(port => (long?)port), Enumerable.Range(0, 85).Select(_ => allocator.TakeAnyPort()).Order());
        Assert.Null(allocator.TakeAnyPort());
    }

    [Fact]
    public async Task A_replacement_without_addresses_keeps_them()
    {
        var old = Create("""{"type": "NodePort", "ports": [{"port": 80}]}""");
        await _rig.Objects.CreateAsync(Resources.Services, (JsonObject)old.DeepClone(), default);
        var next = Update(old, """{"type": "NodePort", "ports": [{"port": 80, "targetPort": 8080}]}""");
        Assert.Equal(old.TextAt("spec", "clusterIP"), next.TextAt("spec", "clusterIP"));
        Assert.Equal(NodePort(old), NodePort(next));
        Assert.Null(Json.Objects(Update(old, """{"ports": [{"port": 80}]}""").At("spec", "ports")).Single()["nodePort"]);
        Assert.Null(Update(old, """{"type": "ExternalName", "externalName": "y.test", "ports": [{"port": 80}]}""").At("spec", "clusterIP"));
    }

    [Fact]
    public async Task What_one_Service_has_another_cannot_take()
    {
        var taken = Create("""{"clusterIP": "10.96.77.77", "type": "NodePort", "ports": [{"port": 80, "nodePort": 30777}]}""");
        await _rig.Objects.CreateAsync(Resources.Services, taken, default);
        Assert.Equal(
            "Service \"s\" is invalid: spec.clusterIPs: Invalid value: []string{\"10.96.77.77\"}: failed to allocate IP 10.96.77.77: provided IP is already "
                + "allocated",
            Assert.Throws<ApiException>(() => Create("""{"clusterIP": "10.96.77.77", "ports": [{"port": 80}]}""")).Message);
        Assert.Equal(
            "Service \"s\" is invalid: spec.ports[0].nodePort: Invalid value: 30777: provided port is already allocated",
            Assert.Throws<ApiException>(() => Create("""{"type": "NodePort", "ports": [{"port": 80, "nodePort": 30777}]}""")).Message);
        await _rig.DeleteAsync(Resources.Services, "n", "s");
        Create("""{"clusterIP": "10.96.77.77", "ports": [{"port": 80}]}""");
    }

    [Fact]
    public void Two_writes_at_once_never_get_the_same_address_and_a_failed_one_gives_it_back()
    {
        var (first, one) = Reserve("""{"clusterIP": "10.96.1.1", "ports": [{"port": 80}]}""");
        Assert.Throws<ApiException>(() => Reserve("""{"clusterIP": "10.96.1.1", "ports": [{"port": 80}]}"""));
        one.Release();
        Reserve("""{"clusterIP": "10.96.1.1", "ports": [{"port": 80}]}""").Reservation.Release();
        Assert.Equal("10.96.1.1", first.TextAt("spec", "clusterIP"));
        var addresses = Enumerable.Range(0, 300).Select(_ => Reserve("""{"ports": [{"port": 80}]}""").Service.TextAt("spec", "clusterIP")).ToList();
        Assert.Equal(300, addresses.Distinct().Count());
    }

    [Theory]
    [InlineData("""{"clusterIP": "1.2.3.4", "ports": [{"port": 80}]}""",
        "spec.clusterIPs: Invalid value: []string{\"1.2.3.4\"}: failed to allocate IP 1.2.3.4: the provided IP (1.2.3.4) is not in the valid range. The range "
            + "of valid IPs is 10.96.0.0/16")]
    [InlineData("""{"type": "NodePort", "ports": [{"port": 80, "nodePort": 80}]}""",
        "spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767")]
    [InlineData("""{"ipFamilyPolicy": "RequireDualStack", "ports": [{"port": 80}]}""",
        "spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": this cluster is not configured for dual-stack services")]
    public void What_cannot_be_had_is_refused_in_known_words(string spec, string error) =>
        Assert.Equal($"Service \"s\" is invalid: {error}", Assert.Throws<ApiException>(() => Create(spec)).Message);

    [Theory]
    [InlineData("{}", "spec.ports: Required value")]
    [InlineData("""{"type": "Nope", "ports": [{"port": 0}]}""", "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
        "spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive",
        "spec.type: Unsupported value: \"Nope\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\"")]
    [InlineData("""{"ports": [{"port": 80}, {"port": 81, "name": "b"}]}""", "spec.ports[0].name: Required value")]
    public void Mistakes_are_listed_in_known_words(string spec, params string[] errors)
    {
        var service = Service(spec);
        Kind.Strategy.Default(service);
        Assert.Equal(errors, Kind.Strategy.Validate(service, _rig.Write(Kind)).Select(error => error.ToString()));
    }

    public void Dispose() => _rig.Dispose();

    private static JsonObject Service(string spec) =>
        (JsonObject)JsonNode.Parse($$"""{"kind": "Service", "apiVersion": "v1", "metadata": {"name": "s", "namespace": "n", "uid": "u"}, "spec": {{spec}}}""")!;

    private static long? NodePort(JsonObject service) => Json.Whole(Json.Objects(service.At("spec", "ports")).Single()["nodePort"]);

    private JsonObject Create(string spec)
    {
        var (service, reservation) = Reserve(spec);
        reservation.Commit();
        return service;
    }

    private (JsonObject Service, IWriteReservation Reservation) Reserve(string spec)
    {
        var service = Service(spec);
        Kind.Strategy.PrepareForCreate(service, _rig.Write(Kind));
        Kind.Strategy.Default(service);
        return (service, Kind.Strategy.Reserve(null, service, _rig.Write(Kind))!);
    }

    private JsonObject Update(JsonObject old, string spec)
    {
        var next = Service(spec);
        Kind.Strategy.PrepareForUpdate(old, next, _rig.Write(Kind));
        Kind.Strategy.Default(next);
        Assert.Empty(Kind.Strategy.ValidateUpdate(old, next, _rig.Write(Kind)));
        Kind.Strategy.Reserve(old, next, _rig.Write(Kind))!.Commit();
        return next;
    }
}
