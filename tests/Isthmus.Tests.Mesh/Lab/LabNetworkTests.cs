using System.Net;
using Xunit;

namespace Isthmus.Tests.Mesh.Lab;

/// <summary>Networks of whole labs, seen from Pods.</summary>
public sealed class LabNetworkTests
{
    private static readonly string[] Clusters = ["cluster1", "cluster2"];

    private const string Server = """
        apiVersion: v1
        kind: Pod
        metadata: {name: server, labels: {app: echo}}
        spec:
          terminationGracePeriodSeconds: 0
          containers:
          - name: echo
            image: host.lab.internal/rootfs
            command:
            - python3
            - -c
            - |
              import http.server,socketserver
              class H(http.server.BaseHTTPRequestHandler):
                def do_GET(self):
                  b=(NAME+' '+self.client_address[0]+'\n').encode()
                  self.send_response(200);self.send_header('Content-Length',str(len(b)));self.end_headers();self.wfile.write(b)
              NAME='CLUSTER'
              socketserver.ThreadingTCPServer(('',8080),H).serve_forever()
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: echo}
        spec:
          type: LoadBalancer
          selector: {app: echo}
          ports: [{port: 80, targetPort: 8080, nodePort: 30080}]
        """;

    [Fact]
    public async Task Isolated_clusters_meet_only_at_node_and_load_balancer_addresses()
    {
        await using var rig = await LabRig.CreateAsync();
        (await rig.IsthmusAsync("lab", "up", "--clusters", "2")).Expect(0);
        await DeployAsync(rig);
        await AlignAsync(rig);
        await HearsAsync(rig, "cluster1", "echo.default.svc.cluster.local", "cluster1 ");
        await HearsAsync(rig, "cluster2", "echo", "cluster2 ");
        // The status has the address before the node's rules do.
        var balancer = await BalancerAsync(rig, "cluster1");
        await HearsAsync(rig, "cluster2", balancer, "cluster1 172.18.0.3");
        await HearsAsync(rig, "cluster2", "172.18.0.2:30080", "cluster1 172.18.0.3");
        // Both Pods have the same address: in each cluster it means the local Pod.
        Assert.Equal(await PodAddressAsync(rig, "cluster1"), await PodAddressAsync(rig, "cluster2"));
        await HearsAsync(rig, "cluster2", $"{await PodAddressAsync(rig, "cluster1")}:8080", "cluster2 ");
    }

    [Fact]
    public async Task In_a_flat_network_Pods_reach_each_other_and_ClusterIPs_stay_private()
    {
        await using var rig = await LabRig.CreateAsync();
        (await rig.IsthmusAsync("lab", "up", "--clusters", "2", "--flat")).Expect(0);
        var other = await rig.IsthmusAsync("lab", "up", "--network", "cluster1=own");
        other.Expect(1);
        Assert.Contains(
            "cluster cluster1: exists with network 'flat', not 'own' (remove the lab first with 'isthmus lab down', or this cluster alone with 'isthmus lab "
                + "delete cluster --name cluster1')",
            other.Errors, StringComparison.Ordinal);
        await DeployAsync(rig);
        var (here, there) = (await PodAddressAsync(rig, "cluster1"), await PodAddressAsync(rig, "cluster2"));
        await HearsAsync(rig, "cluster1", $"{there}:8080", $"cluster2 {here}");
        await HearsAsync(rig, "cluster2", $"{here}:8080", $"cluster1 {there}");
        var service = (await rig.KubectlAsync("--context=cluster2", "get", "service", "echo", "-o", "jsonpath={.spec.clusterIP}")).Expect(0);
        Assert.DoesNotContain("cluster2 ", (await CallAsync(rig, "cluster1", service)).Output);
        Assert.Equal($"echo reply from {there}",
            (await rig.KubectlAsync("--context=cluster1", "exec", "server", "--", "timeout", "30", "perl", "-MSocket", "-e", Ping, there)).Expect(0).Trim());
    }

    /// <summary>Does what the program ping does without privileges, because not every machine has ping.</summary>
    private const string Ping = """
        socket(my $s, PF_INET, SOCK_DGRAM, 1) or die "no ping socket: $!";
        send($s, pack("C2 n3 a8", 8, 0, 0, 0, 1, "isthmus!"), 0, pack_sockaddr_in(0, inet_aton($ARGV[0]))) or die "cannot send: $!";
        my $from = recv($s, my $reply, 1500, 0) or die "no reply: $!";
        print "echo reply from ", inet_ntoa((unpack_sockaddr_in($from))[1]) if unpack("C", $reply) == 0;
        """;

    private static async Task DeployAsync(LabRig rig)
    {
        foreach (var cluster in Clusters) await ApplyAsync(rig, cluster);
        foreach (var cluster in Clusters) await ReadyAsync(rig, cluster);
    }

    /// <summary>Gives the Pods of both clusters the same address. Nodes give addresses in turn, and one that had to start a Pod again is ahead.</summary>
    private static async Task AlignAsync(LabRig rig)
    {
        for (var tries = 0; tries < 20; tries++)
        {
            var (one, two) = (IPAddress.Parse(await PodAddressAsync(rig, "cluster1")), IPAddress.Parse(await PodAddressAsync(rig, "cluster2")));
            if (one.Equals(two)) return;
            var behind = one.GetAddressBytes().AsSpan().SequenceCompareTo(two.GetAddressBytes()) < 0 ? "cluster1" : "cluster2";
            (await rig.KubectlAsync($"--context={behind}", "delete", "pod", "server")).Expect(0);
            await ApplyAsync(rig, behind);
            await ReadyAsync(rig, behind);
        }
        Assert.Fail("the Pods got different addresses 20 times");
    }

    private static async Task ApplyAsync(LabRig rig, string cluster)
    {
        var file = Path.Combine(rig.Home.Directory, $"{cluster}.yaml");
        await File.WriteAllTextAsync(file, Server.Replace("CLUSTER", cluster, StringComparison.Ordinal), TestContext.Current.CancellationToken);
        (await rig.KubectlAsync($"--context={cluster}", "apply", "-f", file)).Expect(0);
        File.Delete(file);
    }

    private static async Task ReadyAsync(LabRig rig, string cluster)
    {
        (await rig.KubectlAsync($"--context={cluster}", "wait", "--for=condition=Ready", "pod/server", "--timeout=60s")).Expect(0);
        await LabRig.UntilAsync(() => rig.KubectlAsync($"--context={cluster}", "exec", "server", "--", "curl", "-sS", "--max-time", "2", "echo"), cluster);
    }

    private static Task HearsAsync(LabRig rig, string cluster, string target, string words) => LabRig.UntilAsync(() => CallAsync(rig, cluster, target), words);

    private static Task<Outcome> CallAsync(LabRig rig, string cluster, string target) =>
        rig.KubectlAsync($"--context={cluster}", "exec", "server", "--", "curl", "-sS", "--max-time", "3", $"http://{target}/");

    private static async Task<string> PodAddressAsync(LabRig rig, string cluster) =>
        (await rig.KubectlAsync($"--context={cluster}", "get", "pod", "server", "-o", "jsonpath={.status.podIP}")).Expect(0);

    private static Task<string> BalancerAsync(LabRig rig, string cluster) => LabRig.UntilAsync(
        () => rig.KubectlAsync($"--context={cluster}", "get", "service", "echo", "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}"), "172.18.");
}
