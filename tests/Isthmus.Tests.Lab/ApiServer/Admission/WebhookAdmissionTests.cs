using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Admission;
using Isthmus.Lab.ApiServer.Endpoints;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Storage;
using Isthmus.Lab.ApiServer.Values;
using Isthmus.Lab.ApiServer.Writes;
using Isthmus.Lab.Loopback;
using Isthmus.Lab.Machine.Network;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.Lab.ApiServer.Admission;

/// <summary>Webhooks are called over real HTTPS, as a Service of the cluster: a sidecar injector depends on it.</summary>
public sealed class WebhookAdmissionTests : IAsyncLifetime
{
    private readonly StoreRig _rig = new();
    private readonly List<JsonObject> _asked = [];
    private WebApplication _server = null!;
    private WebhookCaller _caller = null!;
    private Func<JsonObject, JsonObject> _answer = _ => [];
    private string _ca = "";
    private int _port;

    public async ValueTask InitializeAsync()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=hook", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("hook.system.svc");
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        var certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddMinutes(-5), DateTimeOffset.UtcNow.AddHours(1));
        _ca = Convert.ToBase64String(Encoding.ASCII.GetBytes(certificate.ExportCertificatePem()));
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration()
            .ConfigureKestrel(options => options.Listen(IPAddress.Loopback, 0, listen => listen.UseHttps(certificate)));
        _server = builder.Build();
        _server.Run(HandleAsync);
        await _server.StartAsync();
        _port = new Uri(_server.Urls.First()).Port;
        _caller = new(new ServiceEndpoints(_rig.Objects, new Random(1)));
        await _rig.PutAsync(Resources.Namespaces, """{"metadata": {"name": "n", "labels": {"inject": "yes"}}}""");
        await _rig.PutAsync(Resources.Namespaces, """{"metadata": {"name": "plain"}}""");
    }

    [Fact]
    public async Task A_mutating_webhook_changes_the_object_and_the_account_admission_runs_again()
    {
        await _rig.PutAsync(Resources.ServiceAccounts, """{"metadata": {"name": "default", "namespace": "n"}}""");
        await ServeAsync();
        await HookAsync(Resources.MutatingWebhooks, "");
        _answer = _ => Patch("""[{"op": "add", "path": "/spec/containers/-", "value": {"name": "injected", "image": "x:1"}}]""");
        var pod = Pod();
        await Admission(new ServiceAccountAdmission(_rig.Objects, new Random(1))).MutateAsync(pod, default);
        var injected = Json.Objects(pod.Object.At("spec", "containers")).Last();
        Assert.Equal("injected", Json.Text(injected["name"]));
        Assert.Equal("IfNotPresent", Json.Text(injected["imagePullPolicy"]));
        Assert.Single(Json.Objects(injected["volumeMounts"]));
        var review = Assert.Single(_asked);
        Assert.Equal("CREATE", review.TextAt("request", "operation"));
        Assert.Equal("n", review.TextAt("request", "namespace"));
        Assert.Equal("admin", review.TextAt("request", "userInfo", "username"));
    }

    [Theory]
    [InlineData("""{"code": 403, "message": "no"}""", 403, "admission webhook \"a.hook.test\" denied the request: no")]
    [InlineData("""{"reason": "Invalid"}""", 400, "admission webhook \"a.hook.test\" denied the request: Invalid")]
    [InlineData("{}", 400, "admission webhook \"a.hook.test\" denied the request without explanation")]
    public async Task A_refusal_is_passed_on(string status, int code, string message)
    {
        await ServeAsync();
        await HookAsync(Resources.ValidatingWebhooks, "");
        _answer = _ => new() { ["allowed"] = false, ["status"] = JsonNode.Parse(status) };
        var refused = await Assert.ThrowsAsync<ApiException>(async () => await Admission().ValidateAsync(Pod(), default));
        Assert.Equal((code, message), (refused.Code, refused.Message));
    }

    [Fact]
    public async Task A_change_that_makes_no_valid_object_is_refused()
    {
        await ServeAsync();
        await HookAsync(Resources.MutatingWebhooks, "");
        _answer = _ => Patch(
            """[{"op": "add", "path": "/spec/containers/-", "value": {"name": "injected", "image": "x:1", "resources": {"requests": {"cpu": "lots"} } }}]""");
        var refused = await Assert.ThrowsAsync<ApiException>(async () => await Admission().MutateAsync(Pod(), default));
        Assert.Equal(500, refused.Code);
        Assert.Contains("quantities must match the regular expression", refused.Message);
    }

    [Fact]
    public async Task Warnings_reach_the_client()
    {
        await ServeAsync();
        await HookAsync(Resources.ValidatingWebhooks, "");
        _answer = _ => new() { ["allowed"] = true, ["warnings"] = new JsonArray("old") };
        var pod = Pod();
        var write = new WriteRequest { Attributes = pod.Attributes, Kind = pod.Kind, Options = [] };
        await new ObjectRegistry(_rig.Context, [Admission()]).CreateAsync(write, pod.Object!, default);
        Assert.Equal(["old"], write.Warnings);
    }

    [Theory]
    [InlineData("plain", "\"namespaceSelector\": {\"matchLabels\": {\"inject\": \"yes\"}}")]
    [InlineData("n", "\"objectSelector\": {\"matchLabels\": {\"nobody\": \"has\"}}")]
    [InlineData("n",
        "\"rules\": [{\"operations\": [\"UPDATE\"], \"apiGroups\": [\"\"], \"apiVersions\": [\"v1\"], \"resources\": [\"pods\"], \"scope\": \"*\"}]")]
    [InlineData("n",
        "\"rules\": [{\"operations\": [\"CREATE\"], \"apiGroups\": [\"apps\"], \"apiVersions\": [\"v1\"], \"resources\": [\"*\"], \"scope\": \"*\"}]")]
    [InlineData("n",
        "\"rules\": [{\"operations\": [\"*\"], \"apiGroups\": [\"*\"], \"apiVersions\": [\"*\"], \"resources\": [\"pods/*\"], \"scope\": \"Cluster\"}]")]
    public async Task Requests_that_do_not_concern_it_pass_by(string ns, string narrowing)
    {
        await ServeAsync();
        await HookAsync(Resources.ValidatingWebhooks, narrowing);
        await Admission().ValidateAsync(Pod(ns), default);
        Assert.Empty(_asked);
    }

    [Fact]
    public async Task Nobody_behind_the_Service_is_said_plainly()
    {
        await HookAsync(Resources.ValidatingWebhooks, "");
        Assert.Equal(Failed("service \"hook\" not found"), await RefusalAsync());
        await _rig.PutAsync(Resources.Services, """{"metadata": {"name": "hook", "namespace": "system"}, "spec": {"ports": [{"port": 443}]}}""");
        Assert.Equal(Failed("no endpoints available for service \"hook\""), await RefusalAsync());
        await SliceAsync(1);
        Assert.Equal(Failed("dial tcp 127.0.0.1:1: connect: connection refused"), await RefusalAsync());
    }

    [Fact]
    public async Task An_untrusted_certificate_is_said_plainly()
    {
        await ServeAsync();
        using var stranger = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var other = new CertificateRequest("CN=other", stranger, HashAlgorithmName.SHA256).CreateSelfSigned(DateTimeOffset.UtcNow,
            DateTimeOffset.UtcNow.AddHours(1));
        _ca = Convert.ToBase64String(Encoding.ASCII.GetBytes(other.ExportCertificatePem()));
        await HookAsync(Resources.ValidatingWebhooks, "");
        Assert.Equal(Failed("tls: failed to verify certificate: x509: certificate signed by unknown authority"), await RefusalAsync());
    }

    [Fact]
    public async Task A_broken_webhook_that_may_be_ignored_is()
    {
        await HookAsync(Resources.ValidatingWebhooks, "\"failurePolicy\": \"Ignore\"");
        await Admission().ValidateAsync(Pod(), default);
    }

    [Theory]
    [InlineData("object.metadata.name == 'p'", "Fail", 1, "")]
    [InlineData("object.metadata.name == 'q'", "Fail", 0, "")]
    [InlineData("object.spec.replicas == 1", "Ignore", 0, "")]
    [InlineData("request.operation == 'CREATE' || object.spec.replicas == 1", "Ignore", 1, "")]
    [InlineData("object.spec.replicas == 1", "Fail", 0, "failed calling webhook \"a.hook.test\": matchCondition 'only' resulted in error: ")]
    public async Task A_webhook_is_asked_while_its_conditions_hold(string condition, string policy, int asked, string refusal)
    {
        await ServeAsync();
        _answer = _ => new() { ["allowed"] = true };
        await HookAsync(Resources.ValidatingWebhooks,
            $$"""
            "failurePolicy": "{{policy}}", "sideEffects": "NoneOnDryRun", "matchConditions": [{"name": "only", "expression": "{{condition}}"}]
            """);
        if (refusal.Length == 0) await Admission().ValidateAsync(Pod(), default);
        else Assert.Contains(refusal, await RefusalAsync(), StringComparison.Ordinal);
        Assert.Equal(asked, _asked.Count);
    }

    /// <summary>As API servers do, whatever is scaled.</summary>
    [Fact]
    public async Task A_webhook_sees_a_Scale_where_something_is_scaled()
    {
        await ServeAsync();
        _answer = _ => new() { ["allowed"] = true };
        await HookAsync(Resources.ValidatingWebhooks,
            """
            "rules": [{"operations": ["UPDATE"], "apiGroups": ["apps"], "apiVersions": ["*"], "resources": ["deployments/scale"], "scope": "*"}]
            """);
        var old = (JsonObject)JsonNode.Parse(
            """{"metadata": {"name": "d", "namespace": "n", "uid": "u", "labels": {"a": "b"}}, "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "d"}}}}""")!;
        var next = (JsonObject)old.DeepClone();
        next["spec"]!["replicas"] = 0;
        var write = _rig.Request(_rig.Kind("apps", "v1", "deployments"), "UPDATE", next);
        await Admission().ValidateAsync(new AdmissionRequest
        {
            Attributes = write.Attributes with { Subresource = "scale", Namespace = "n", Name = "d" }, Kind = write.Kind, Operation = "UPDATE", Object = next,
            OldObject = old, Options = [],
        }, default);
        var asked = Assert.Single(_asked)["request"]!;
        Assert.Equal("""{"group":"autoscaling","version":"v1","kind":"Scale"}""", asked["kind"]!.ToJsonString());
        Assert.Equal("""{"group":"apps","version":"v1","resource":"deployments"}""", asked["resource"]!.ToJsonString());
        Assert.Equal(("scale", "u", "app=d", null, "3"), (asked.TextAt("subResource"), asked.TextAt("object", "metadata", "uid"),
            asked.TextAt("object", "status", "selector"), asked["object"]!["spec"]!["replicas"]?.ToString(),
            asked["oldObject"]!["spec"]!["replicas"]?.ToString()));
    }

    [Fact]
    public async Task A_webhook_with_side_effects_is_not_asked_for_a_dry_run()
    {
        await ServeAsync();
        await HookAsync(Resources.ValidatingWebhooks, "\"sideEffects\": \"Some\"");
        var request = _rig.Request(_rig.Kind("", "v1", "pods"), "CREATE", Pod().Object);
        var dry = new AdmissionRequest
        {
            Attributes = request.Attributes, Kind = request.Kind, Operation = "CREATE", Object = request.Object, Options = [], DryRun = true
        };
        var refused = await Assert.ThrowsAsync<ApiException>(async () => await Admission().ValidateAsync(dry, default));
        Assert.Equal("admission webhook \"a.hook.test\" does not support dry run", refused.Message);
    }

    [Fact]
    public async Task An_answer_to_another_question_is_refused()
    {
        await ServeAsync();
        await HookAsync(Resources.ValidatingWebhooks, "");
        _answer = _ => new() { ["uid"] = "other", ["allowed"] = true };
        Assert.Contains("received invalid webhook response: expected response.uid=", await RefusalAsync(), StringComparison.Ordinal);
    }

    public async ValueTask DisposeAsync()
    {
        _caller.Dispose();
        await _server.StopAsync();
        await _server.DisposeAsync();
        _rig.Dispose();
    }

    private static string Failed(string why) =>
        $"Internal error occurred: failed calling webhook \"a.hook.test\": failed to call webhook: Post \"https://hook.system.svc:443/check?timeout=30s\": "
            + $"{why}";

    private static JsonObject Patch(string patch) => new()
    {
        ["allowed"] = true,
        ["patchType"] = "JSONPatch",
        ["patch"] = Convert.ToBase64String(Encoding.UTF8.GetBytes(patch)),
    };

    [Fact]
    public async Task A_URL_on_the_loopback_is_called_on_the_machine_and_not_where_the_API_server_runs()
    {
        var directory = Directory.CreateTempSubdirectory("door").FullName;
        var path = Path.Combine(directory, MachineSocket.FileName);
        using var caller = new WebhookCaller(new ServiceEndpoints(_rig.Objects, new Random(1)), new MachineLoopback(path));
        var admission = new WebhookAdmission(_rig.Objects, _rig.Context.Kinds, caller, []);
        await HookAsync(Resources.ValidatingWebhooks,
            $$$"""{"clientConfig": {"url": "https://127.0.0.1:{{{_port}}}/check", "caBundle": "{{{_ca}}}"}}"""[1..^1]);
        var refused = await Assert.ThrowsAsync<ApiException>(async () => await admission.ValidateAsync(Pod(), default));
        Assert.Contains($"Post \"https://127.0.0.1:{_port}/check?timeout=30s\": dial tcp 127.0.0.1:{_port}: the lab's supervisor is not reachable",
            refused.Message);

        using var sockets = new MachineSockets(MachineSockets.Open());
        using var over = new CancellationTokenSource();
        Task running;
        using (var door = new MachineDoor(path, sockets, NullLogger.Instance))
        {
            running = door.RunAsync(over.Token);
            _answer = _ => new() { ["allowed"] = true };
            await admission.ValidateAsync(Pod(), default);
            await over.CancelAsync();
            await running;
        }
        Assert.Single(_asked);
        Directory.Delete(directory, true);
    }

    private WebhookAdmission Admission(params IAdmissionPlugin[] reinvoked) => new(_rig.Objects, _rig.Context.Kinds, _caller, reinvoked);

    private AdmissionRequest Pod(string ns = "n") => _rig.Request(_rig.Kind("", "v1", "pods"), "CREATE", (JsonObject)JsonNode.Parse(
        """{"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "p"}, "spec": {"serviceAccountName": "default", "containers": [{"name": "c", "image": "x:1"}]}}""")!,
        ns: ns);

    private async Task<string> RefusalAsync() =>
        (await Assert.ThrowsAsync<ApiException>(async () => await Admission().ValidateAsync(Pod(), default))).Message;

    private async Task ServeAsync()
    {
        await _rig.PutAsync(Resources.Services, """{"metadata": {"name": "hook", "namespace": "system"}, "spec": {"ports": [{"port": 443}]}}""");
        await SliceAsync(_port);
    }

    private Task<StoredObject> SliceAsync(int port) => _rig.PutAsync(Resources.EndpointSlices, """
        {"metadata": {"name": "hook-1", "namespace": "system", "labels": {"kubernetes.io/service-name": "hook"}},
         "addressType": "IPv4", "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": true}}], "ports": [{"name": "", "port": PORT}]}
        """.Replace("PORT", port.ToString(System.Globalization.CultureInfo.InvariantCulture), StringComparison.Ordinal));

    private async Task HookAsync(GroupResource resource, string fields)
    {
        var hook = (JsonObject)JsonNode.Parse(
            $$$"""{"name": "a.hook.test", "clientConfig": {"service": {"namespace": "system", "name": "hook", "port": 443, "path": "/check"}, "caBundle": "{{{_ca}}}"}}""")!;
        var defaults =
            """
            {"rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "scope": "*"}], "failurePolicy": "Fail",
             "sideEffects": "None", "timeoutSeconds": 30, "admissionReviewVersions": ["v1"]}
            """;
        foreach (var (key, value) in JsonNode.Parse($"{{{fields}}}")!.AsObject()) hook[key] = value?.DeepClone();
        foreach (var (key, value) in JsonNode.Parse(defaults)!.AsObject())
            if (!hook.ContainsKey(key)) hook[key] = value?.DeepClone();
        await _rig.PutAsync(resource,
            new JsonObject { ["metadata"] = new JsonObject { ["name"] = "hooks" }, ["webhooks"] = new JsonArray(hook) }.ToJsonString());
    }

    private async Task HandleAsync(HttpContext context)
    {
        var review = (JsonObject)(await JsonNode.ParseAsync(context.Request.Body))!;
        _asked.Add(review);
        var response = _answer(review);
        if (response["uid"] is null) response["uid"] = review.TextAt("request", "uid");
        var answer = new JsonObject { ["kind"] = "AdmissionReview", ["apiVersion"] = "admission.k8s.io/v1", ["response"] = response };
        await context.Response.WriteAsync(answer.ToJsonString());
    }
}
