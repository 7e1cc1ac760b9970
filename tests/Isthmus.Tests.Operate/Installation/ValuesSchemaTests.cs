using System.Text.RegularExpressions;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Operate.Install;
using Isthmus.Operate.Install.Operator;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Operate.Installation;

/// <summary>Values are free-form, as in Istio. Those without an effect are reported.</summary>
public sealed partial class ValuesSchemaTests
{
    private const string Head = "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\n";

    [Fact]
    public void Types_are_said_only_of_fields_that_are_declared()
    {
        var declared = OperatorFields.All.Select(field => field.Path).ToList();
        var strangers = OperatorShapes.Paths
            .Select(path => path.Replace("Gateways.*", "Gateways[]", StringComparison.Ordinal).Replace("gateways.*", "gateways{}", StringComparison.Ordinal))
            .Where(path => !Fixed().IsMatch(path))
            .Where(path => !declared.Any(field => path == field || Holds(field, path) || Holds(path, field)));
        Assert.Empty(strangers);

        static bool Holds(string outer, string inner) => inner.StartsWith(outer + ".", StringComparison.Ordinal);
    }

    /// <summary>Gateways of these names are declared once, for all names.</summary>
    [GeneratedRegex(@"^values\.gateways\.istio-(in|e)gressgateway(\.|$)")]
    private static partial Regex Fixed();

    [Theory]
    [InlineData("values.global.meshId=foo", "--set: values.global.meshId: is not a known field; 'foo' has no effect (did you mean values.global.meshID?)")]
    [InlineData("values.global.meshIdd=foo", "--set: values.global.meshIdd: is not a known field; 'foo' has no effect (did you mean values.global.meshID?)")]
    [InlineData("spec.values.pilot.replicacount=2",
        "--set: values.pilot.replicacount: is not a known field; '2' has no effect (did you mean values.pilot.replicaCount?)")]
    [InlineData("values.global.clusterName=c1",
        "--set: values.global.clusterName: is not a known field; 'c1' has no effect (did you mean values.global.multiCluster.clusterName?)")]
    [InlineData("values.globl.network=n1", "--set: values.globl: is not a known field; what is below it has no effect (did you mean values.global?)")]
    [InlineData("values.gateways.istio-ingresgateway.type=NodePort",
        "--set: values.gateways.istio-ingresgateway: is not a known field; what is below it has no effect (did you mean "
            + "values.gateways.istio-ingressgateway?)")]
    [InlineData("values.istiodRemote.injectionUrl=https://a",
        "--set: values.istiodRemote.injectionUrl: is not a known field; 'https://a' has no effect (did you mean values.istiodRemote.injectionURL?)")]
    [InlineData("meshConfig.trustDomian=td", "--set: meshConfig.trustDomian: unknown field \"trustDomian\" (did you mean \"trustDomain\"?)")]
    [InlineData("meshConfig.enableEnvoyAccessLogService=true",
        "--set: meshConfig.enableEnvoyAccessLogService: has no effect in Isthmus (remove it, unless a control plane of Istio reads the object, too)")]
    [InlineData("values.meshConfig.defaultConfig.tracing.lightstep.address=a",
        "--set: values.meshConfig.defaultConfig.tracing.lightstep: has no effect in Isthmus (remove it, unless a control plane of Istio reads the object, "
            + "too)")]
    [InlineData("values.zzz=1", "--set: values.zzz: is not a known field; '1' has no effect")]
    [InlineData("values.global.logAsJson=true",
        "--set: values.global.logAsJson: 'true' has no effect here (remove it, unless a control plane of Istio is installed from the same values)")]
    [InlineData("values.global.proxy.accessLogFile=/dev/stdout",
        "--set: values.global.proxy.accessLogFile: '/dev/stdout' has no effect here (set meshConfig.accessLogFile)")]
    [InlineData("values.global.meshNetworks.n1.gatways[0].port=15443",
        "--set: values.global.meshNetworks[n1].gatways: unknown field \"gatways\" (did you mean \"gateways\"?)")]
    public void What_has_no_effect_is_said_and_refused_by_nobody(string flag, string warning) =>
        Assert.Equal([warning], OperatorSpec.Build([], [flag], null).Warnings.Select(problem => problem.ToString()));

    [Theory]
    [InlineData("values.pilot.env.PILOT_FILTER_GATEWAY_CLUSTER_CONFIG=true",
        "--set: values.pilot.env.PILOT_FILTER_GATEWAY_CLUSTER_CONFIG: the control plane does not read PILOT_FILTER_GATEWAY_CLUSTER_CONFIG (remove it)")]
    [InlineData("values.pilot.env.PILOT_PUSH_THROTLE=3",
        "--set: values.pilot.env.PILOT_PUSH_THROTLE: the control plane does not read PILOT_PUSH_THROTLE (did you mean PILOT_PUSH_THROTTLE?)")]
    [InlineData("components.pilot.k8s.env[0].name=GODEBUG", "--set: components.pilot.k8s.env[0]: the control plane does not read GODEBUG (remove it)")]
    public void Variables_that_nobody_reads_are_named(string flag, string warning) =>
        Assert.Equal([warning], OperatorSpec.Build([], [flag], null).Warnings.Select(problem => problem.ToString()));

    [Theory]
    [InlineData("meshConfig.connectTimeout=soon", "--set: meshConfig.connectTimeout: \"soon\" is not a duration")]
    [InlineData("values.global.meshNetworks.n1.gateways[0].address=1.1.1.1",
        "--set: values.global.meshNetworks[n1].gateways[0].port: port number 0 must be in the range 1..65535")]
    [InlineData("values.meshConfig.proxyHttpPort=15007", "--set: values.meshConfig.proxyHttpPort: sidecars have no port for HTTP proxy requests")]
    public void Settings_of_the_mesh_that_cannot_work_are_refused(string flag, string message) =>
        Assert.StartsWith(message, Assert.Throws<ProblemException>(() => OperatorSpec.Build([], [flag], null)).Message, StringComparison.Ordinal);

    [Fact]
    public void A_file_is_named_with_what_has_no_effect_in_it() =>
        Assert.Equal(["a.yaml: values.global.netwrk: is not a known field; 'n1' has no effect (did you mean values.global.network?)"],
            OperatorSpec.Build([("a.yaml", Head + "spec:\n  values: {global: {netwrk: n1, network: n1, proxy: }}\n")], [],
                null).Warnings.Select(problem => problem.ToString()));

    [Fact]
    public void What_has_an_effect_is_passed_over_also_where_anything_may_stand() => Assert.Empty(OperatorSpec.Build([],
        ["values.global.meshID=m", "values.global.meshNetworks.n1.gateways[0].address=1.1.1.1", "values.global.meshNetworks.n1.gateways[0].port=15443",
            "values.global.proxy.resources.limits.cpu=1",
            "components.ingressGateways[0].name=mine", "components.ingressGateways[0].enabled=true", "values.gateways.mine.ports[0].port=80"], null).Warnings);

    /// <summary>A gateway of any name has the same values, and mistakes in them are named.</summary>
    [Fact]
    public void Values_of_a_gateway_with_its_own_name_are_checked() =>
        Assert.Equal(["--set: values.gateways.mine.typ: is not a known field; 'NodePort' has no effect (did you mean values.gateways.mine.type?)"],
        OperatorSpec.Build([],
            ["components.ingressGateways[0].name=mine", "components.ingressGateways[0].enabled=true", "values.gateways.mine.typ=NodePort",
                "values.gateways.mine.injectionTemplate=gateway"],
            null).Warnings.Select(problem => problem.ToString()));

    [Fact]
    public void The_mesh_may_be_set_below_values_too() =>
        Assert.Equal(("td", WellKnown.DefaultTrustDomain),
            (OperatorSpec.Build([], ["values.meshConfig.trustDomain=td"], null).TrustDomain, OperatorSpec.Build([], [], null).TrustDomain));

    [Fact]
    public void Nothing_that_guides_samples_and_profiles_say_is_without_effect()
    {
        var flags = Repository.Pages.SelectMany(page => Flag().Matches(File.ReadAllText(Repository.At(page)))).Select(match => match.Groups[1].Value.Trim('"'))
            .Where(flag => !flag.Contains('…')).Distinct().ToList();
        Assert.NotEmpty(flags);
        Assert.Empty(OperatorSpec.Build([], flags, null).Warnings);
        var files = Repository.Pages.SelectMany(page => OperatorFile().Matches(File.ReadAllText(Repository.At(page)))
            .Select((match, index) => ($"{page} {index}", match.Value.Replace("$N", "1", StringComparison.Ordinal))))
            .Append(("east-west", EastWestGateway.ReplicatedControlPlanes())).ToList();
        Assert.True(files.Count > 5);
        foreach (var file in files) Assert.Empty(OperatorSpec.Build([file], [], null).Warnings);
    }

    [GeneratedRegex(@"--set ""?((?:spec\.)?(?:values|meshConfig)[\w.\[\]-]*=[^\s`""]+)")]
    private static partial Regex Flag();

    [GeneratedRegex(@"^apiVersion: install\.istio\.io/v1alpha1\n.*?(?=^EOF|^```|^---)", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex OperatorFile();
}
