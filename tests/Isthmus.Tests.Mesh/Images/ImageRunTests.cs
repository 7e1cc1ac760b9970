using System.Text.Json.Nodes;
using Isthmus.Injection;
using Xunit;

namespace Isthmus.Tests.Mesh.Images;

/// <summary>The image under runc, with exactly the security contexts that injection writes.</summary>
[Trait("shard", "images")]
public sealed class ImageRunTests(RuncRig rig) : IClassFixture<RuncRig>
{
    private static readonly JsonObject Pod = PodInjector.Inject(
        JsonNode.Parse(
            """{"metadata": {"name": "web"}, "spec": {"serviceAccountName": "default", "containers": [{"name": "web", "image": "web"}]}}""")!.AsObject(),
        "shop",
        new(new() { ["global"] = new JsonObject() }, [], "cluster.local"), InjectionPath.Default, NativeSidecars.Off)!;

    private static JsonNode Init => Pod["spec"]!["initContainers"]![0]!;

    private static JsonNode Proxy => Pod["spec"]!["containers"]!.AsArray().Single(container => container!["name"]!.ToString() == "istio-proxy")!;

    [Fact]
    public async Task The_init_container_captures_traffic()
    {
        var rules = await rig.PodAsync("runc run -b $1 init >/dev/null; nft list ruleset", rig.Bundle("init", Init));
        Assert.Contains("redirect to :15006", rules, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_proxy_starts_as_an_unprivileged_user_on_a_read_only_root()
    {
        var said = await rig.PodAsync("""
            runc run -b $1 proxy >$1/log 2>&1 &
            until curl -s -o /dev/null -w "%{http_code}\n" http://127.0.0.1:15021/healthz/ready; do kill -0 $! || { cat $1/log; exit 1; }; sleep 0.1; done
            runc exec proxy sh -c "id -u; grep CapEff /proc/1/status; touch /x || echo read-only"
            runc exec proxy pilot-agent version --remote=false
            runc kill proxy KILL; wait || true
            """, rig.Bundle("proxy", Proxy));
        // Without a control plane it is not ready, and says so.
        Assert.Contains("503", said, StringComparison.Ordinal);
        Assert.Contains($"{(RuncRig.HasOneUser ? "0" : "1337")}\nCapEff:\t0000000000000000\nread-only\nclient version: ", said, StringComparison.Ordinal);
        Assert.Contains("TLS library: OpenSSL 3.5.", said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_images_of_the_samples_start_theirs()
    {
        var said = await rig.PodAsync("""
            runc run -b $1 curl | head -1
            runc run -b $2 hello >$2/log 2>&1 &
            until curl -s http://127.0.0.1:5000/hello; do kill -0 $! || { cat $2/log; exit 1; }; sleep 0.1; done
            runc kill hello KILL; wait || true
            """, rig.Bundle("curl", Proxy, "curl", "--version"), rig.Bundle("hello", Proxy, [.. rig.Sample("docker.io/istio/examples-helloworld-v2:latest")]));
        Assert.StartsWith("curl 8", said, StringComparison.Ordinal);
        Assert.Contains("Hello version:", said, StringComparison.Ordinal);
    }

    [Fact]
    public void The_user_of_the_image_is_not_root()
    {
        var config = rig.Config["config"]!;
        Assert.Equal("1337:1337", config["User"]!.ToString());
        Assert.InRange(new FileInfo(rig.Archive).Length, 1, 120_000_000);
    }

    [Fact]
    public async Task Every_program_of_the_root_finds_its_libraries()
    {
        var missing = await rig.PodAsync("runc run -b $1 libraries", rig.Bundle("libraries", Proxy, "sh", "-c",
            "find /usr /opt -type f -name '*.so*' -o -type f -path '*/bin/*' -o -type f -name dotnet | while read f; do /lib64/ld-linux-x86-64.so.2 --list $f "
                + "2>/dev/null | grep 'not found' | sed \"s,^,$f,\"; done; true"));
        Assert.Equal("", missing);
    }
}
