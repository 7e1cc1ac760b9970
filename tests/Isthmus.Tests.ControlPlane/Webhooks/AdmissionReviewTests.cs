using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Graph.History;
using Isthmus.ControlPlane.Webhooks;
using Isthmus.Core.Names;
using Isthmus.Injection;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Model;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Webhooks;

/// <summary>What is not a review of an API server gets 400 and one line.</summary>
public sealed class AdmissionReviewTests
{
    private const string Pod = """
        apiVersion: v1
        kind: Pod
        metadata:
          name: web
          namespace: shop
          labels: {app: web, sidecar.istio.io/inject: 'true'}
          annotations:
            sidecar.istio.io/userVolume: '[{"name": "extra", "emptyDir": {}}]'
            sidecar.istio.io/userVolumeMount: '{"extra": {"mountPath": "/x"}}'
            sidecar.istio.io/statsHistogramBuckets: '{"istiocustom": [1, 2]}'
            proxy.istio.io/config: '{"holdApplicationUntilProxyStarts": true}'
            prometheus.io/scrape: 'true'
          ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web-5d8f, uid: a, controller: true}]
        spec:
          nodeName: one
          hostNetwork: false
          serviceAccountName: web
          securityContext: {runAsUser: 5, fsGroup: 6}
          dnsConfig: {searches: [a]}
          imagePullSecrets: [{name: pull}]
          volumes: [{name: extra, emptyDir: {}}]
          initContainers:
          - {name: first, image: any, restartPolicy: Always, startupProbe: {exec: {command: [a]}}}
          containers:
          - name: web
            image: any
            ports: [{name: http, containerPort: 8080}]
            env: [{name: A, value: b}]
            resources: {limits: {cpu: 100m}}
            readinessProbe: {httpGet: {path: /a, port: http, httpHeaders: [{name: a, value: b}], scheme: HTTP}, timeoutSeconds: 3}
            livenessProbe: {grpc: {port: 9, service: a}}
            startupProbe: {tcpSocket: {port: 8080}}
            lifecycle: {preStop: {httpGet: {path: /b, port: 8080}}}
          - {name: istio-proxy, image: auto, env: [{name: C, value: d}], securityContext: {runAsUser: 9}}
        """;

    private const string Route = """
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: web, namespace: shop, uid: a, generation: 1, labels: {a: b}}
        spec:
          hosts: [web]
          http:
          - name: one
            match: [{uri: {prefix: /a}, headers: {a: {exact: b}}, sourceLabels: {a: b}}]
            route: [{destination: {host: web, subset: v1, port: {number: 80}}, weight: 1, headers: {request: {set: {a: b}}}}]
            timeout: 1s
            retries: {attempts: 1, retryOn: 5xx}
            fault: {delay: {fixedDelay: 1s, percentage: {value: 1}}}
        """;

    public static TheoryData<string, byte[]> NoReviews => new()
    {
        { "no JSON", "{"u8.ToArray() },
        { "a list", "[]"u8.ToArray() },
        { "a text", "\"request\""u8.ToArray() },
        { "null", "null"u8.ToArray() },
        { "a member twice", "{\"request\": {\"uid\": \"1\"}, \"request\": {\"uid\": \"2\"}}"u8.ToArray() },
        { "a member of the object twice", "{\"request\": {\"object\": {\"kind\": \"Pod\", \"kind\": \"Pod\"}}}"u8.ToArray() },
        { "half a pair", "{\"request\": {\"uid\": \"\\ud800\"}}"u8.ToArray() },
        { "not UTF-8", [.. "{\"request\": {\"uid\": \""u8, 0xff, .. "\"}}"u8] },
        { "no request", "{}"u8.ToArray() },
        { "a request that is a list", "{\"request\": []}"u8.ToArray() },
        { "a version that is a number", "{\"apiVersion\": 1, \"request\": {}}"u8.ToArray() },
        { "a uid that is a number", "{\"request\": {\"uid\": 1}}"u8.ToArray() },
        { "a user that is a list", "{\"request\": {\"userInfo\": []}}"u8.ToArray() },
        { "a name of a user that is an object", "{\"request\": {\"userInfo\": {\"username\": {}}}}"u8.ToArray() },
        { "a dry run that is a text", "{\"request\": {\"dryRun\": \"true\"}}"u8.ToArray() },
        { "an object that is a list", "{\"request\": {\"object\": []}}"u8.ToArray() },
        { "an old object that is a text", "{\"request\": {\"oldObject\": \"a\"}}"u8.ToArray() },
        { "metadata that are a list", "{\"request\": {\"object\": {\"metadata\": []}}}"u8.ToArray() },
        { "a label that is a number", "{\"request\": {\"object\": {\"metadata\": {\"labels\": {\"a\": 1}}}}}"u8.ToArray() },
        { "a label with an escape sequence of a terminal", "{\"request\": {\"object\": {\"metadata\": {\"labels\": {\"\\u001b[2J\\n\": 1}}}}}"u8.ToArray() },
    };

    [Theory]
    [MemberData(nameof(NoReviews))]
    public async Task Is_refused_with_one_line(string what, byte[] body)
    {
        foreach (var path in (string[])["/inject", "/validate"])
        {
            var (status, text, lines) = await SendAsync(path, body);
            Assert.True(status == StatusCodes.Status400BadRequest, $"{what}: {status} {text}");
            Assert.True(Visible.IsWhole(text.TrimEnd('\n')) && text.StartsWith("the body is not an AdmissionReview: ", StringComparison.Ordinal), text);
            Assert.True(Visible.IsWhole(Assert.Single(lines)));
        }
    }

    [Theory]
    [InlineData("/inject", Pod)]
    [InlineData("/validate", Pod)]
    [InlineData("/validate", Route)]
    [InlineData("/inject", Route)]
    public async Task A_value_of_another_type_anywhere_ends_in_an_answer(string path, string yaml)
    {
        var whole = (JsonObject)YamlText.Parse(yaml, "test")!;
        var first = await SendAsync(path, Review(whole, null));
        Assert.Equal(StatusCodes.Status200OK, first.Status);
        if (path == "/inject" && yaml == Pod) Assert.Contains("JSONPatch", first.Body, StringComparison.Ordinal);
        var wrong = 0;
        foreach (var place in Places(whole, ""))
        {
            foreach (var text in (string[])["null", "7", "-1.5", "1e400", "\"x\"", "\"\"", "true", "[]", "{}", "[null]", "[7]", "[[]]", "[{}]",
                "[{\"name\": 7}]", "{\"name\": []}", "{\"a\": null}"])
            {
                var changed = (JsonObject)whole.DeepClone();
                Replace(changed, place, JsonNode.Parse(text));
                foreach (var body in (byte[][])[Review(changed, null), Review(whole, changed)])
                {
                    var (status, answer, lines) = await SendAsync(path, body);
                    Assert.True(status is StatusCodes.Status200OK or StatusCodes.Status400BadRequest, $"{place} {text}: {status} {answer}");
                    Assert.Equal(status == StatusCodes.Status400BadRequest ? 1 : 0, lines.Count);
                    wrong += lines.Count;
                }
            }
        }
        Assert.NotEqual(0, wrong);
    }

    [Fact]
    public async Task A_body_without_a_length_or_with_too_much_of_it_is_refused_before_it_is_read()
    {
        Assert.Equal(StatusCodes.Status413PayloadTooLarge, (await SendAsync("/validate", "{}"u8.ToArray(), length: null)).Status);
        Assert.Equal(StatusCodes.Status413PayloadTooLarge, (await SendAsync("/validate", "{}"u8.ToArray(), AdmissionReview.Longest + 1)).Status);
    }

    private static byte[] Review(JsonObject value, JsonObject? old) => Encoding.UTF8.GetBytes(new JsonObject
    {
        ["apiVersion"] = "admission.k8s.io/v1", ["kind"] = "AdmissionReview",
        ["request"] = new JsonObject
        {
            ["uid"] = "1", ["namespace"] = "shop", ["operation"] = old is null ? "CREATE" : "UPDATE", ["object"] = value.DeepClone(),
            ["oldObject"] = old?.DeepClone(), ["userInfo"] = new JsonObject { ["username"] = "alice" }
        },
    }.ToJsonString());

    private static Task<(int Status, string Body, List<string> Lines)> SendAsync(string path, byte[] body) => SendAsync(path, body, body.Length);

    private static async Task<(int Status, string Body, List<string> Lines)> SendAsync(string path, byte[] body, long? length)
    {
        var endpoints = new WebhookEndpoints(() => InjectorValues.Empty, _ => new(default, default), () => [],
            new(new(), null, _ => null, new(), TimeProvider.System, NullLogger<ReviewCallers>.Instance),
            NullLogger<WebhookEndpoints>.Instance) { Mesh = () => MeshConfig.Default, Admitted = new AdmittedWrites() };
        var http = new DefaultHttpContext
        {
            Request = { Path = path, Body = new MemoryStream(body), ContentLength = length }, Response = { Body = new MemoryStream() }
        };
        var lines = new List<string>();
        await AdmissionReview.HandleAsync(http, question => path == "/validate" ? endpoints.Validate(question) : endpoints.Inject(question, path), lines.Add);
        return (http.Response.StatusCode, Encoding.UTF8.GetString(((MemoryStream)http.Response.Body).ToArray()), lines);
    }

    private static IEnumerable<string> Places(JsonNode? node, string path) => node switch
    {
        JsonObject map => map.SelectMany(item => Places(item.Value, $"{path}\n{item.Key}").Prepend($"{path}\n{item.Key}")),
        JsonArray list => list.Index().SelectMany(item => Places(item.Item, $"{path}\n{item.Index}").Prepend($"{path}\n{item.Index}")),
        _ => [],
    };

    private static void Replace(JsonNode root, string place, JsonNode? with)
    {
        var steps = place.Split('\n')[1..];
        foreach (var step in steps[..^1])
            root = root is JsonArray list ? list[int.Parse(step, System.Globalization.CultureInfo.InvariantCulture)]! : root[step]!;
        if (root is JsonArray items) items[int.Parse(steps[^1], System.Globalization.CultureInfo.InvariantCulture)] = with;
        else root[steps[^1]] = with;
    }
}
