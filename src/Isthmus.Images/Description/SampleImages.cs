using Isthmus.Core.Collections;

namespace Isthmus.Images.Description;

/// <summary>The image of a well-known sample, for which our program stands in.</summary>
/// <param name="Pattern">What the lab accepts: a repository without tag, or <c>*/name</c> for any registry and path.</param>
/// <param name="References">The names in manifests, complete, that a real image has.</param>
/// <param name="User">The user and group. Their manifests rely on the user.</param>
public sealed record SampleImage(string Pattern, ValueList<string> References, ValueList<string> Entrypoint, ValueList<string> Arguments,
    (int Id, int Group) User)
{
    public ValueMap<string> Environment { get; init; }

    /// <summary>Whether users expect the program curl.</summary>
    public bool HasCurl { get; init; }
}

/// <summary>Images of well-known samples, so that you can run their manifests unchanged. Besides the samples, only this file knows their names.</summary>
public static class SampleImages
{
    private static readonly (int, int) Root = (0, 0), CurlUser = (100, 101);

    public static ValueList<SampleImage> All { get; } =
    [
        Sample("docker.io/istio/examples-helloworld-v1", "helloworld", "v1", "docker.io/istio/examples-helloworld-v1:latest",
            "docker.io/istio/examples-helloworld-v1:1.0"),
        Sample("docker.io/istio/examples-helloworld-v2", "helloworld", "v2", "docker.io/istio/examples-helloworld-v2:latest",
            "docker.io/istio/examples-helloworld-v2:1.0"),
        Sample("*/httpbin", "httpbin", "", "docker.io/kong/httpbin:latest", "docker.io/kennethreitz/httpbin:latest"),
        Sample("docker.io/istio/tcp-echo-server", "tcp-echo", "", "docker.io/istio/tcp-echo-server:latest", "docker.io/istio/tcp-echo-server:1.3"),
        Sample("docker.io/istio/ext-authz", "ext-authz", "", "docker.io/istio/ext-authz:latest", "docker.io/istio/ext-authz:0.5"),
        Sample("gcr.io/istio-testing/ext-authz", "ext-authz", "", "gcr.io/istio-testing/ext-authz:latest"),
        Sample("registry.k8s.io/gateway-api/echo-basic", "echo-basic", "", "registry.k8s.io/gateway-api/echo-basic:v1.5.1"),
        Sample("registry.k8s.io/gateway-api/echo-advanced", "echo-advanced", "", "registry.k8s.io/gateway-api/echo-advanced:v1.5.1"),
        Sample("docker.io/mccutchen/go-httpbin", "httpbin", "", "docker.io/mccutchen/go-httpbin:latest"),
        Shell("docker.io/curlimages/curl", ["curl"]) with { User = CurlUser },
        Shell("docker.io/governmentpaas/curl-ssl", []),
        Shell("docker.io/tutum/curl", []),
        Shell("docker.io/pstauffer/curl", []),
        Shell("docker.io/appropriate/curl", ["curl"]),
    ];

    private static SampleImage Sample(string pattern, string name, string version, params ReadOnlySpan<string> references) =>
        new(pattern, [.. references], [.. ProgramLayout.Program.Items, "sample", name], [], Root)
        {
            Environment = version.Length > 0 ? new([new("SERVICE_VERSION", version)]) : default,
        };

    private static SampleImage Shell(string repository, ValueList<string> entrypoint) =>
        new(repository, [$"{repository}:latest"], entrypoint, ["/bin/sh"], Root) { HasCurl = true };
}
