using FsCheck;
using FsCheck.Fluent;
using Isthmus.Lab.ApiServer.Auth;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Values;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Lab.ApiServer.Auth;

public sealed class ServiceAccountTokenTests : IDisposable
{
    private const string Issuer = "https://kubernetes.default.svc.cluster.local";

    private readonly StoreRig _rig = new();
    private readonly TokenSigner _signer;
    private readonly TokenVerifier _verifier;

    public ServiceAccountTokenTests()
    {
        _signer = new(_rig.Key);
        _verifier = new(_signer, _rig.Objects, _rig.Context.Settings, _rig.Clock);
    }

    [Fact]
    public async Task A_requested_token_names_its_account()
    {
        var token = await RequestAsync("{}");
        var verdict = _verifier.Verify(token, [Issuer]);
        Assert.Equal("system:serviceaccount:n:app", verdict.User!.Name);
        Assert.Contains("system:serviceaccounts:n", verdict.User.Groups);
        Assert.Equal("", verdict.Error);
    }

    [Fact]
    public async Task A_token_for_somebody_else_is_refused_with_both_audiences()
    {
        var token = await RequestAsync("""{"spec": {"audiences": ["istio-ca"]}}""");
        Assert.Equal(
            "[invalid bearer token, token audiences [\"istio-ca\"] is invalid for the target audiences [\"https://kubernetes.default.svc.cluster.local\"]]",
            _verifier.Verify(token, [Issuer]).Error);
        Assert.Equal("istio-ca", Assert.Single(_verifier.Verify(token, ["istio-ca", "other"]).Audiences));
    }

    [Fact]
    public async Task A_token_ends_a_minute_after_its_time()
    {
        var token = await RequestAsync("""{"spec": {"expirationSeconds": 600}}""");
        _rig.Clock.Now += TimeSpan.FromSeconds(659);
        Assert.NotNull(_verifier.Verify(token, [Issuer]).User);
        _rig.Clock.Now += TimeSpan.FromSeconds(2);
        Assert.Equal("[invalid bearer token, service account token has expired]", _verifier.Verify(token, [Issuer]).Error);
    }

    [Fact]
    public async Task A_token_bound_to_a_Pod_says_so_and_goes_with_it()
    {
        await _rig.PutAsync(Resources.Pods, """{"metadata": {"name": "p", "namespace": "n"}, "spec": {"serviceAccountName": "app", "nodeName": "node-1"}}""");
        var token = await RequestAsync("""{"spec": {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "p"}}}""");
        var user = _verifier.Verify(token, [Issuer]).User!;
        Assert.Equal("p", Assert.Single(user.Extra["authentication.kubernetes.io/pod-name"]));
        Assert.Equal("node-1", Assert.Single(user.Extra["authentication.kubernetes.io/node-name"]));
        await _rig.DeleteAsync(Resources.Pods, "n", "p");
        Assert.Equal("[invalid bearer token, service account token has been invalidated]", _verifier.Verify(token, [Issuer]).Error);
    }

    [Fact]
    public async Task A_Pod_of_another_account_is_not_bound()
    {
        await _rig.PutAsync(Resources.Pods, """{"metadata": {"name": "p", "namespace": "n"}, "spec": {"serviceAccountName": "other"}}""");
        var refused = await Assert.ThrowsAsync<ApiException>(
            () => RequestAsync("""{"spec": {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "p"}}}"""));
        Assert.Equal(400, refused.Code);
    }

    [Fact]
    public async Task A_token_dies_with_its_account_even_if_one_of_the_same_name_follows()
    {
        var token = await RequestAsync("{}");
        await _rig.DeleteAsync(Resources.ServiceAccounts, "n", "app");
        Assert.Equal("[invalid bearer token, serviceaccounts \"app\" not found]", _verifier.Verify(token, [Issuer]).Error);
        await _rig.PutAsync(Resources.ServiceAccounts, """{"metadata": {"name": "app", "namespace": "n"}}""");
        Assert.Null(_verifier.Verify(token, [Issuer]).User);
    }

    [Fact]
    public async Task A_Secrets_token_lives_as_long_as_the_Secret_holds_it()
    {
        var account = await _rig.PutAsync(Resources.ServiceAccounts, """{"metadata": {"name": "app", "namespace": "n"}}""");
        var token = SecretToken.Mint(_rig.Key, "n", "app", account.Uid, "legacy");
        Assert.Null(_verifier.Verify(token, [Issuer]).User);
        var data = Convert.ToBase64String(System.Text.Encoding.ASCII.GetBytes(token));
        await _rig.PutAsync(Resources.Secrets, $$$"""{"metadata": {"name": "legacy", "namespace": "n"}, "data": {"token": "{{{data}}}"}}""");
        Assert.Equal("system:serviceaccount:n:app", _verifier.Verify(token, [Issuer]).User!.Name);
        await _rig.DeleteAsync(Resources.Secrets, "n", "legacy");
        Assert.Null(_verifier.Verify(token, [Issuer]).User);
    }

    [Fact]
    public async Task A_changed_token_is_no_token()
    {
        var token = await RequestAsync("{}");
        var parts = token.Split('.');
        var other = await RequestAsync("""{"spec": {"audiences": ["x"]}}""", create: false);
        var forged = $"{parts[0]}.{other.Split('.')[1]}.{parts[2]}";
        Assert.Equal("[invalid bearer token, square/go-jose: error in cryptographic primitive]", _verifier.Verify(forged, [Issuer]).Error);
    }

    [Fact]
    public void No_text_is_taken_for_a_token() => Prop.ForAll(
        ArbMap.Default.ArbFor<NonNull<string>>(),
        text => _verifier.Verify(text.Get, [Issuer]).User is null && _verifier.Verify($"{text.Get}.{text.Get}.{text.Get}", [Issuer]).User is null).MustHold();

    [Theory]
    [InlineData(60, "may not specify a duration less than 10 minutes")]
    [InlineData(8589934592, "may not specify a duration larger than 2^32 seconds")]
    public async Task A_time_out_of_bounds_is_refused(long seconds, string why)
    {
        var refused = await Assert.ThrowsAsync<ApiException>(() => RequestAsync($$$"""{"spec": {"expirationSeconds": {{{seconds}}}}}"""));
        Assert.Equal($"TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: {seconds}: {why}", refused.Message);
    }

    public void Dispose() => _rig.Dispose();

    private async Task<string> RequestAsync(string body, bool create = true)
    {
        if (create) await _rig.PutAsync(Resources.ServiceAccounts, """{"metadata": {"name": "app", "namespace": "n"}}""");
        var resource = new TokenRequestResource(_signer, _rig.Objects, _rig.Context.Settings, _rig.Clock);
        var tree = (System.Text.Json.Nodes.JsonObject)System.Text.Json.Nodes.JsonNode.Parse(body)!;
        var answer = await resource.HandleAsync(new(Users.Admin.Asks("create", "serviceaccounts", "n", name: "app"), tree, false, []), default);
        Assert.Equal(201, answer.Code);
        return answer.Body.TextAt("status", "token");
    }
}
