namespace Isthmus.Options;

/// <summary>What the help of each command ends with.</summary>
internal static class CommandExamples
{
    private static readonly Dictionary<string, string[]> Table = new(StringComparer.Ordinal)
    {
        ["quickstart"] = ["quickstart", "quickstart --yes"],
        ["lab"] = ["lab up", "lab up --topology multi-primary-multi-network", "lab status", "lab down"],
        ["lab up"] = ["lab up --clusters 3", "lab up --topology primary-remote", "lab up --topology mesh.yaml"],
        ["lab shell"] = ["lab shell", "lab shell --cluster cluster1", "lab shell -- go test ./conformance -run TestConformance"],
        ["mesh"] = ["mesh template multi-primary > mesh.yaml", "mesh plan -f mesh.yaml", "mesh up -f mesh.yaml", "mesh diff -f mesh.yaml"],
        ["ca"] = ["ca root", "ca intermediate cluster1", "ca rotate --dir new-root --plan"],
        ["certificates"] = ["certificates", "certificates --contexts cluster1,cluster2 -o json", "certificates --snapshot bug-report.tar.gz"],
        ["install"] =
        [
            "install", "install --set profile=minimal --set values.global.network=network1", "install --set values.base.enableGatewayAPICRDs=true",
            "install -f operator.yaml -y", "install --dry-run",
        ],
        ["upgrade"] = ["upgrade -f operator.yaml", "upgrade -f operator.yaml --dry-run"],
        ["uninstall"] = ["uninstall --revision canary", "uninstall --purge -y"],
        ["tag"] = ["tag list", "tag set prod --revision 1-1", "tag set prod --revision 1-1 --overwrite"],
        ["image"] = ["image build", "image push registry.example.com/isthmus:0.1.0", "image load --to kind"],
        ["manifest"] = ["manifest generate -f operator.yaml > manifests.yaml", "manifest generate --set profile=minimal | kubectl apply -f -"],
        ["profile"] = ["profile list", "profile dump minimal"],
        ["create-remote-secret"] = ["create-remote-secret --context=cluster2 --name=cluster2 | kubectl apply -f - --context=cluster1",
            "create-remote-secret --context=cluster2 --name=cluster2 --rotate"],
        ["verify"] = ["verify", "verify --contexts cluster1,cluster2 -o json", "verify --probe", "verify --snapshot bug-report.tar.gz"],
        ["trace"] =
        [
            "trace deployment/buyer.shop orders/health --context=cluster1", "trace buyer-6c9d-x2x7p.shop -v -H 'x-user: ann' -d '{}' http://orders.shop/new",
            "trace deployment/buyer.shop tcp://redis.data:6379 --no-call",
            "trace gateway/istio-ingressgateway.istio-system https://shop.example.com/", "trace --snapshot bug-report.tar.gz deployment/buyer.shop orders",
        ],
        ["migrate"] = ["migrate check", "migrate check --contexts cluster1,cluster2 -o json", "migrate check -f config/ --level lost"],
        ["history"] = ["history", "history orders.shop --since 15m", "history --since 24h -o json"],
        ["console"] = ["console", "console --contexts cluster1,cluster2 --port 8090 --browser=false"],
        ["global"] = ["global export shop/orders", "global list", "global remove shop/orders"],
        ["remote-clusters"] = ["remote-clusters --context=cluster1", "remote-clusters --context=cluster1 -o json"],
        ["proxy-status"] = ["proxy-status", "proxy-status web-6c9d-x2x7p.shop"],
        ["proxy-config"] = ["proxy-config endpoints deployment/web.shop", "proxy-config routes deployment/web.shop --name 80 -o json",
            "proxy-config clusters --file config_dump.json", "proxy-config log deployment/web.shop --level debug"],
        ["describe"] = ["describe pod deployment/web.shop", "describe service web.shop --contexts cluster1,cluster2 -o json",
            "describe gateway front.shop"],
        ["authz"] = ["authz check deployment/web.shop", "authz check -f config_dump.json"],
        ["validate"] = ["validate -f gateway.yaml", "validate -f -"],
        ["precheck"] = ["precheck --context=cluster1", "precheck -f operator.yaml"],
        ["admin"] = ["admin log", "admin log --level ca:debug", "admin log --reset"],
        ["dashboard"] = ["dashboard console", "dashboard envoy deployment/web.shop"],
        ["version"] = ["version", "version --remote=false -o json"],
        ["completion"] = ["completion bash > /etc/bash_completion.d/isthmus", "completion zsh"],
        ["help"] = ["help lab up"],
        ["experimental"] = ["experimental wait virtualservice reviews.default", "experimental injector list", "experimental internal-debug syncz"],
    };

    /// <param name="path">The names of the command and its groups, without <c>experimental</c>.</param>
    internal static IReadOnlyList<string> Of(string path) => Table.GetValueOrDefault(path, []);
}
