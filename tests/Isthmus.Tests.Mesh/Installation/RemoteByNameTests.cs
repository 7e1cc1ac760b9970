using Isthmus.Tests.Mesh.Guides;
using Xunit;

namespace Isthmus.Tests.Mesh.Installation;

/// <summary>A primary with a revision behind a load balancer that has a host name, as cloud providers assign
/// them.</summary>
public sealed class RemoteByNameTests
{
    /// <summary>The name exists only in cluster1's DNS: the machine does not know it, so only the control plane can resolve
    /// it.</summary>
    private const string Up = """
        isthmus lab up --clusters 2 --flat
        COMMON="--set values.global.meshID=mesh1 --set values.global.network=network1"
        isthmus install -y --context=cluster1 --revision blue --set profile=minimal $COMMON --set values.global.multiCluster.clusterName=cluster1 --set values.pilot.env.EXTERNAL_ISTIOD=true
        samples/multicluster/gen-eastwest-gateway.sh --network network1 --revision blue | isthmus --context=cluster1 install -y -f -
        sed 's/{{.Revision}}/blue/g' samples/multicluster/expose-istiod-rev.yaml.tmpl | kubectl --context=cluster1 -n istio-system apply -f -
        kubectl --context=cluster1 create namespace names
        ADDRESS=$(kubectl --context=cluster1 -n istio-system get svc istio-eastwestgateway -o jsonpath='{.status.loadBalancer.ingress[0].ip}')
        kubectl --context=cluster1 apply -f - <<EOF
        apiVersion: v1
        kind: Service
        metadata: {name: front, namespace: names}
        spec: {clusterIP: None, ports: [{port: 15012}]}
        ---
        apiVersion: v1
        kind: Endpoints
        metadata: {name: front, namespace: names}
        subsets: [{addresses: [{ip: $ADDRESS}], ports: [{port: 15012}]}]
        EOF
        kubectl --context=cluster2 create namespace istio-system
        kubectl --context=cluster2 annotate namespace istio-system topology.istio.io/controlPlaneClusters=cluster1
        isthmus install -y --context=cluster2 --revision blue --set profile=remote $COMMON \
          --set values.global.multiCluster.clusterName=cluster2 --set values.global.remotePilotAddress=front.names.svc.cluster.local
        isthmus create-remote-secret --context=cluster2 --name=cluster2 | kubectl --context=cluster1 apply -f -
        """;

    private const string Workload = """
        kubectl --context=cluster2 create namespace shop
        kubectl --context=cluster2 label namespace shop istio.io/rev=blue
        kubectl --context=cluster2 -n shop create deployment tide --image=host.lab.internal/rootfs -- sleep infinity
        kubectl --context=cluster2 -n shop rollout status deployment tide --timeout=100s
        kubectl --context=cluster2 -n shop get pods
        """;

    /// <summary>The load balancer gets another address, and the name resolves to it.</summary>
    private const string Move = """
        kubectl --context=cluster1 -n istio-system expose deployment istio-eastwestgateway --name=moved --type=LoadBalancer --port=15012
        kubectl --context=cluster1 -n istio-system patch service moved --type=json -p '[{"op":"replace","path":"/spec/ports","value":[{"name":"a","port":15012},{"name":"b","port":15017}]}]'
        kubectl --context=cluster1 -n istio-system wait service moved --for=jsonpath='{.status.loadBalancer.ingress[0].ip}' --timeout=90s 2>/dev/null || sleep 1
        MOVED=$(kubectl --context=cluster1 -n istio-system get svc moved -o jsonpath='{.status.loadBalancer.ingress[0].ip}')
        kubectl --context=cluster1 -n names patch endpoints front --type=merge -p "{\"subsets\":[{\"addresses\":[{\"ip\":\"$MOVED\"}],\"ports\":[{\"port\":15012}]}]}"
        kubectl --context=cluster1 -n istio-system delete service istio-eastwestgateway
        for try in $(seq 150); do
          [ "$(kubectl --context=cluster2 -n istio-system get endpointslice istiod-blue -o jsonpath='{.endpoints[*].addresses[*]}')" = "$MOVED" ] && echo "the remote follows" && break
          sleep 0.2
        done
        kubectl --context=cluster2 -n shop rollout restart deployment tide
        kubectl --context=cluster2 -n shop rollout status deployment tide --timeout=100s
        isthmus proxy-status --context=cluster1
        """;

    [Fact]
    [Trait("runs", "soak")]
    public async Task A_remote_follows_the_host_name_of_its_control_plane_and_leaves_nothing_behind()
    {
        await using var shell = await GuideShell.CreateAsync();
        Assert.Contains("front.names.svc.cluster.local cannot be resolved here", await ExpectAsync(shell, Up), StringComparison.Ordinal);
        Assert.Contains("2/2", await ExpectAsync(shell, Workload), StringComparison.Ordinal);
        var moved = await ExpectAsync(shell, Move);
        Assert.Contains("the remote follows", moved, StringComparison.Ordinal);
        Assert.Contains("cluster2", moved, StringComparison.Ordinal);

        const string Left =
            "kubectl --context=cluster2 get svc,endpoints,cm,secret,lease,sa,role,rolebinding,clusterrole,clusterrolebinding,mutatingwebhookconfigurations -A "
                + "-o name | grep -iE 'istio|isthmus' || echo nothing";
        await ExpectAsync(shell, "isthmus uninstall -y --purge --context=cluster2");
        // The primary still runs and must not write again.
        Assert.Equal("nothing", (await ExpectAsync(shell, $"sleep 3; {Left}")).Trim());
    }

    private static async Task<string> ExpectAsync(GuideShell shell, string command)
    {
        var (code, output) = await shell.RunAsync($"set -e\n{command}");
        Assert.True(code == 0, $"exit status {code} of {command}\n{output}");
        return output;
    }
}
