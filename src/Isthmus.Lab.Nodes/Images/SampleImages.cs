using Isthmus.Core.Collections;
using Isthmus.Images.Description;

namespace Isthmus.Lab.Nodes.Images;

/// <summary>Images of well-known samples, so that you can run their manifests unchanged. Besides the samples, only this
/// file knows their names.</summary>
public static class SampleImages
{
    // The user of these images. Their manifests rely on it not being root.
    private const long CurlUser = 100;

    public static ValueList<Image> All { get; } =
    [
        Sample("docker.io/istio/examples-helloworld-v1", "helloworld", "v1"),
        Sample("docker.io/istio/examples-helloworld-v2", "helloworld", "v2"),
        Sample("*/httpbin", "httpbin", ""),
        Sample("docker.io/istio/tcp-echo-server", "tcp-echo", ""),
        Sample("docker.io/mccutchen/go-httpbin", "httpbin", ""),
        Shell("docker.io/curlimages/curl", ["curl"]) with { User = CurlUser },
        Shell("docker.io/governmentpaas/curl-ssl", []),
        Shell("docker.io/tutum/curl", []),
        Shell("docker.io/pstauffer/curl", []),
        Shell("docker.io/appropriate/curl", ["curl"]),
    ];

    private static Image Sample(string pattern, string name, string version) =>
        new(pattern, RootKind.Runtime, [.. ProgramLayout.Program.Items, "sample", name], [])
        {
            Environment = version.Length > 0 ? new([new("SERVICE_VERSION", version)]) : default,
        };

    private static Image Shell(string pattern, ValueList<string> entrypoint) =>
        new(pattern, RootKind.Runtime, entrypoint, ["/bin/sh"]);
}
