using System.Net;
using Isthmus.Explain.Tracing.Causes;
using Isthmus.Explain.Tracing.Facts;
using Xunit;

namespace Isthmus.Tests.Tracing;

/// <summary>Callers that a policy denies because their Pods name another service account than was meant (tests/operator-faults.tsv).</summary>
public sealed class CallerAccountTests
{
    private const string Set = "set spec.template.spec.serviceAccountName of Deployment shop/buyer in c1 to ",
        Pods = "allows all Pods of namespace shop that name no account";

    /// <summary>Widening the policy to the account would let in others.</summary>
    [Theory]
    [InlineData("default", "buyer", "principals: [cluster.local/ns/shop/sa/buyer]", "and that of c2 as buyer",
        Set + "buyer, as in c2; or add cluster.local/ns/shop/sa/default there, which " + Pods)]
    [InlineData("default", "default", "principals: [cluster.local/ns/shop/sa/buyer]", "runs as service account default, as Pods do that name none",
        Set + "buyer, if that is its account; or add cluster.local/ns/shop/sa/default there, which " + Pods)]
    [InlineData("clerk", "buyer", "serviceAccounts: [buyer]", "runs as service account clerk, and that of c2 as buyer",
        Set + "buyer, as in c2; or add shop/clerk there")]
    [InlineData("clerk", "clerk", "principals: [cluster.local/ns/shop/sa/buyer]", "and this call has cluster.local/ns/shop/sa/clerk: ",
        "add cluster.local/ns/shop/sa/clerk there")]
    [InlineData("default", "other", "principals: [cluster.local/ns/bank/sa/teller]", "and this call has cluster.local/ns/shop/sa/default: ",
        "add cluster.local/ns/shop/sa/default there")]
    public void The_account_that_was_meant_is_told_before_the_policy_is_widened(string here, string there, string source, string says, string remedy)
    {
        var scenario = new TraceScenario();
        scenario.One = scenario.One.Replace("{name: buyer, namespace: shop, labels: {app: buyer}}, spec: {",
            $"{Made("buyer")}, spec: {{serviceAccountName: {here}, ", StringComparison.Ordinal)
            + "\n---\n{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: callers, namespace: shop}, "
            + $"spec: {{rules: [{{from: [{{source: {{{source}}}}}]}}]}}}}";
        scenario.Two += $"\n---\n{{apiVersion: v1, kind: Pod, metadata: {Made("buyer")}, spec: {{serviceAccountName: {there}, containers: [{{name: web}}]}}, "
            + "status: {phase: Running}}";
        var facts = scenario.Facts();
        var callee = new Callee(facts.Home, facts.Home.Pods.First(pod => pod.Metadata.Name == "orders-a"), IPEndPoint.Parse("10.1.0.5:8080"));
        var call = new CallAttributes($"spiffe://cluster.local/ns/shop/sa/{here}", null, IPEndPoint.Parse("10.1.0.2:999"), callee.Address, "", null);
        var problem = new PolicyCauses(facts).Denied(callee, "", call);
        Assert.Equal(("ISM2064", "AuthorizationPolicy shop/callers in c1"), (problem.Code, problem.Object));
        Assert.Contains(says, problem.Message, StringComparison.Ordinal);
        Assert.Equal(remedy, problem.Remedy);
    }

    [Fact]
    public void The_account_that_a_denial_excepts_is_told_as_well()
    {
        var scenario = new TraceScenario();
        scenario.One += "\n---\n{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: callers, namespace: shop}, "
            + "spec: {action: DENY, rules: [{from: [{source: {notPrincipals: [cluster.local/ns/shop/sa/buyer]}}]}]}}";
        var facts = scenario.Facts();
        var callee = new Callee(facts.Home, facts.Home.Pods.First(pod => pod.Metadata.Name == "orders-a"), IPEndPoint.Parse("10.1.0.5:8080"));
        var call = new CallAttributes("spiffe://cluster.local/ns/shop/sa/default", null, IPEndPoint.Parse("10.1.0.2:999"), callee.Address, "", null);
        var problem = new PolicyCauses(facts).Denied(callee, "ns[shop]-policy[callers]-rule[0]", call);
        Assert.Equal("set spec.serviceAccountName of Pod shop/buyer in c1 to buyer, if that is its account; or add cluster.local/ns/shop/sa/default there, "
            + $"which {Pods}", problem.Remedy);
    }

    private static string Made(string name) =>
        $"{{name: {name}, namespace: shop, labels: {{app: {name}, pod-template-hash: x1}}, "
            + $"ownerReferences: [{{controller: true, kind: ReplicaSet, name: {name}-x1}}]}}";
}
