using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Admission;
using Isthmus.Lab.ApiServer.Admission.PodSecurity;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Objects;
using Xunit;

namespace Isthmus.Tests.Lab.ApiServer.Admission;

/// <summary>Namespaces refuse Pods by their level of the Pod Security Standards, in the words of Kubernetes.</summary>
public sealed class PodSecurityAdmissionTests : IDisposable
{
    private const string Kept = "\"securityContext\": {\"allowPrivilegeEscalation\": false, \"runAsNonRoot\": true, \"capabilities\": {\"drop\": [\"ALL\"]}, "
        + "\"seccompProfile\": {\"type\": \"RuntimeDefault\"}}";

    private readonly StoreRig _rig = new();

    private PodSecurityAdmission Plugin => new(_rig.Objects);

    public void Dispose() => _rig.Dispose();

    [Fact]
    public async Task A_Pod_without_settings_violates_the_level_restricted_four_times()
    {
        await NamespaceAsync("\"pod-security.kubernetes.io/enforce\": \"restricted\"");
        Assert.Equal("pods \"p\" is forbidden: violates PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false (containers \"i\", \"c\" must set "
            + "securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (containers \"i\", \"c\" must set "
            + "securityContext.capabilities.drop=[\"ALL\"]), runAsNonRoot != true (pod or containers \"i\", \"c\" must set securityContext.runAsNonRoot=true), "
            + "seccompProfile (pod or containers \"i\", \"c\" must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")",
            await WhyAsync("\"initContainers\": [{\"name\": \"i\"}], \"containers\": [{\"name\": \"c\"}]"));
        Assert.Null(await WhyAsync($"\"containers\": [{{\"name\": \"c\", {Kept}}}]"));
    }

    [Theory]
    [InlineData("\"hostNetwork\": true, \"hostPID\": true", "", "host namespaces (hostNetwork=true, hostPID=true)")]
    [InlineData("\"volumes\": [{\"name\": \"v\", \"hostPath\": {\"path\": \"/\"}}]", "", "hostPath volumes (volume \"v\")")]
    [InlineData("\"securityContext\": {\"sysctls\": [{\"name\": \"net.ipv4.tcp_rmem\"}, {\"name\": \"kernel.msgmax\"}]}", "",
        "forbidden sysctls (kernel.msgmax)")]
    [InlineData("\"securityContext\": {\"seccompProfile\": {\"type\": \"Unconfined\"}}", "",
        "seccompProfile (pod must not set securityContext.seccompProfile.type to \"Unconfined\")")]
    [InlineData("\"securityContext\": {\"appArmorProfile\": {\"type\": \"Unconfined\"}}", "",
        "forbidden AppArmor profile (pod must not set AppArmor profile type to \"Unconfined\")")]
    [InlineData("\"securityContext\": {\"windowsOptions\": {\"hostProcess\": true}}", "",
        "hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)")]
    [InlineData("\"securityContext\": {\"seLinuxOptions\": {\"type\": \"spc_t\", \"user\": \"u\"}}", "",
        "seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type \"spc_t\"; user may not be set)")]
    [InlineData("", "\"securityContext\": {\"privileged\": true}", "privileged (container \"c\" must not set securityContext.privileged=true)")]
    [InlineData("", "\"securityContext\": {\"capabilities\": {\"add\": [\"NET_ADMIN\", \"CHOWN\"]}}",
        "non-default capabilities (container \"c\" must not include \"NET_ADMIN\" in securityContext.capabilities.add)")]
    [InlineData("", "\"ports\": [{\"hostPort\": 80}, {\"hostPort\": 443}]", "hostPort (container \"c\" uses hostPorts 443, 80)")]
    [InlineData("", "\"securityContext\": {\"procMount\": \"Unmasked\"}", "procMount (container \"c\" must not set securityContext.procMount to \"Unmasked\")")]
    [InlineData("", "\"ports\": [{\"containerPort\": 80}]", "")]
    public async Task The_level_baseline_refuses_what_reaches_the_node(string spec, string container, string why)
    {
        await NamespaceAsync("\"pod-security.kubernetes.io/enforce\": \"baseline\"");
        var refused = await WhyAsync(
            $"{spec}{(spec.Length > 0 ? ", " : "")}\"containers\": [{{\"name\": \"c\"{(container.Length > 0 ? ", " : "")}{container}}}]");
        Assert.Equal(why.Length == 0 ? null : $"pods \"p\" is forbidden: violates PodSecurity \"baseline:latest\": {why}", refused);
    }

    [Theory]
    [InlineData("\"volumes\": [{\"name\": \"v\", \"hostPath\": {}}, {\"name\": \"n\", \"nfs\": {}}, {\"name\": \"s\", \"secret\": {}}]",
        "restricted volume types (volumes \"v\", \"n\" use restricted volume types \"hostPath\", \"nfs\")")]
    [InlineData("\"securityContext\": {\"runAsUser\": 0}", "runAsUser=0 (pod must not set runAsUser=0)")]
    [InlineData("\"securityContext\": {\"runAsNonRoot\": false}", "runAsNonRoot != true (pod must not set securityContext.runAsNonRoot=false)")]
    public async Task The_level_restricted_refuses_more(string spec, string why)
    {
        await NamespaceAsync("\"pod-security.kubernetes.io/enforce\": \"restricted\"");
        Assert.Equal($"pods \"p\" is forbidden: violates PodSecurity \"restricted:latest\": {why}",
            await WhyAsync($"{spec}, \"containers\": [{{\"name\": \"c\", {Kept}}}]"));
    }

    /// <summary>Capabilities are not restricted before 1.22, and the sysctl is not safe before 1.32.</summary>
    [Theory]
    [InlineData("restricted", "v1.21", "\"securityContext\": {\"runAsNonRoot\": true, \"seccompProfile\": {\"type\": \"RuntimeDefault\"}}",
        "\"securityContext\": {\"allowPrivilegeEscalation\": false}", "")]
    [InlineData("baseline", "v1.31", "\"securityContext\": {\"sysctls\": [{\"name\": \"net.ipv4.tcp_rmem\"}]}", "", "forbidden sysctls (net.ipv4.tcp_rmem)")]
    [InlineData("baseline", "v1.99", "\"securityContext\": {\"sysctls\": [{\"name\": \"net.ipv4.tcp_rmem\"}]}", "", "")]
    public async Task A_version_has_the_rules_of_its_time(string level, string version, string spec, string container, string why)
    {
        await NamespaceAsync($"\"pod-security.kubernetes.io/enforce\": \"{level}\", \"pod-security.kubernetes.io/enforce-version\": \"{version}\"");
        Assert.Equal(why.Length == 0 ? null : $"pods \"p\" is forbidden: violates PodSecurity \"{level}:{version}\": {why}",
            await WhyAsync($"{spec}, \"containers\": [{{\"name\": \"c\"{(container.Length > 0 ? ", " : "")}{container}}}]"));
    }

    [Theory]
    [InlineData("\"pod-security.kubernetes.io/warn\": \"baseline\"", "baseline:latest")]
    [InlineData("\"pod-security.kubernetes.io/enforce\": \"baseline\", \"pod-security.kubernetes.io/enforce-version\": \"v1.30\"", "baseline:v1.30")]
    [InlineData("\"pod-security.kubernetes.io/enforce\": \"baseline\", \"pod-security.kubernetes.io/warn\": \"privileged\"", "")]
    public async Task Who_writes_a_template_is_warned(string labels, string policy)
    {
        await NamespaceAsync(labels);
        var request = Request("apps", "deployments", """{"metadata": {"name": "d"}, "spec": {"template": {"spec": {"hostPID": true, "containers": []}}}}""");
        await Plugin.ValidateAsync(request, default);
        Assert.Equal(policy.Length == 0 ? [] : [$"would violate PodSecurity \"{policy}\": host namespaces (hostPID=true)"], request.Warnings);
    }

    [Fact]
    public async Task A_Pod_that_is_there_stays_and_an_image_of_it_does_not_change()
    {
        await NamespaceAsync("\"pod-security.kubernetes.io/enforce\": \"baseline\"");
        const string Old = """{"metadata": {"name": "p"}, "spec": {"hostPID": true, "containers": [{"name": "c", "image": "a"}]}}""";
        await Plugin.ValidateAsync(
            Request("", "pods", Old.Replace("\"name\": \"p\"", "\"name\": \"p\", \"labels\": {\"a\": \"b\"}", StringComparison.Ordinal), Old), default);
        var refused = await Assert.ThrowsAsync<ApiException>(async () =>
            await Plugin.ValidateAsync(Request("", "pods", Old.Replace("\"a\"", "\"b\"", StringComparison.Ordinal), Old), default));
        Assert.Contains("violates PodSecurity", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("container.apparmor.security.beta.kubernetes.io/c", true)]
    [InlineData("seccomp.security.alpha.kubernetes.io/pod", true)]
    [InlineData("container.seccomp.security.alpha.kubernetes.io/c", true)]
    [InlineData("example.com/c", false)]
    public async Task A_profile_that_an_annotation_changes_is_checked(string annotation, bool isRefused)
    {
        await NamespaceAsync("\"pod-security.kubernetes.io/enforce\": \"baseline\"");
        const string Old = """{"metadata": {"name": "p"}, "spec": {"hostPID": true, "containers": [{"name": "c", "image": "a"}]}}""";
        var request = Request("", "pods",
            Old.Replace("\"name\": \"p\"", $"\"name\": \"p\", \"annotations\": {{\"{annotation}\": \"unconfined\"}}", StringComparison.Ordinal), Old);
        var refused = await Record.ExceptionAsync(async () => await Plugin.ValidateAsync(request, default));
        Assert.Equal(isRefused, refused is ApiException);
    }

    [Theory]
    [InlineData("enforce", "high", "must be one of privileged, baseline, restricted")]
    [InlineData("warn-version", "1.30", "must be \"latest\" or \"v1.x\"")]
    public async Task Labels_that_mean_nothing_are_refused(string label, string value, string why)
    {
        var refused = await Assert.ThrowsAsync<ApiException>(async () => await Plugin.ValidateAsync(Request("", "namespaces",
            $$$"""{"metadata": {"name": "n", "labels": {"pod-security.kubernetes.io/{{{label}}}": "{{{value}}}"} } }"""), default));
        Assert.Equal($"Namespace \"n\" is invalid: metadata.labels[pod-security.kubernetes.io/{label}]: Invalid value: \"{value}\": {why}", refused.Message);
    }

    [Fact]
    public async Task Who_makes_a_namespace_stricter_is_told_which_Pods_it_would_refuse()
    {
        foreach (var name in (string[])["b", "a", "c"])
            await _rig.PutAsync(Resources.Pods, $$"""{"metadata": {"namespace": "n", "name": "{{name}}"}, "spec": {"hostPID": true, "containers": []} }""");
        await _rig.PutAsync(Resources.Pods, """{"metadata": {"namespace": "n", "name": "fine"}, "spec": {"containers": []}}""");
        var request = Request("", "namespaces", """{"metadata": {"name": "n", "labels": {"pod-security.kubernetes.io/enforce": "baseline"}}}""",
            """{"metadata": {"name": "n"}}""");
        await Plugin.ValidateAsync(request, default);
        Assert.Equal(["existing pods in namespace \"n\" violate the new PodSecurity enforce level \"baseline:latest\"",
            "a (and 2 other pods): host namespaces"],
            request.Warnings);
    }

    private Task NamespaceAsync(string labels) =>
        _rig.PutAsync(Resources.Namespaces, $$"""{"metadata": {"name": "n", "labels": { {{labels}} } } }""");

    private async Task<string?> WhyAsync(string spec)
    {
        try
        {
            await Plugin.ValidateAsync(Request("", "pods", $$"""{"metadata": {"name": "p"}, "spec": { {{spec}} } }"""), default);
            return null;
        }
        catch (ApiException e) when (e.Code == 403)
        {
            return e.Message;
        }
    }

    private AdmissionRequest Request(string group, string plural, string json, string? old = null)
    {
        var request = _rig.Request(_rig.Kind(group, "v1", plural), old is null ? "CREATE" : "UPDATE", (JsonObject)JsonNode.Parse(json)!);
        return old is null ? request : new()
        {
            Attributes = request.Attributes, Kind = request.Kind, Operation = "UPDATE", Object = request.Object, Options = [],
            OldObject = (JsonObject)JsonNode.Parse(old)!,
        };
    }
}
