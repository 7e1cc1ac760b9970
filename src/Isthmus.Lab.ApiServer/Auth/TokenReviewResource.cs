using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Hosting;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Values;
using Isthmus.Lab.ApiServer.VirtualResources;

namespace Isthmus.Lab.ApiServer.Auth;

/// <summary>
/// TokenReview: reports whose token it is. The answer is always 201; an invalid token is one without <c>authenticated</c>.
/// </summary>
internal sealed class TokenReviewResource(TokenVerifier tokens, ApiServerSettings settings) : IVirtualResource
{
    public VirtualResourceDescriptor Descriptor { get; } = Review.Descriptor(Resources.AuthenticationGroup, "tokenreviews", "TokenReview");

    public ValueTask<VirtualResponse> HandleAsync(VirtualRequest request, CancellationToken stop)
    {
        var spec = request.Body?["spec"] as JsonObject;
        var token = Json.Text(spec?["token"]);
        if (token.Length == 0) throw ApiException.BadRequest("token is required for TokenReview in authentication");
        var audiences = Json.Texts(spec?["audiences"]);
        var verdict = tokens.Verify(token, audiences.IsEmpty ? [settings.Issuer] : audiences);
        var status = verdict.User is { } user
            ? new JsonObject { ["authenticated"] = true, ["user"] = user.ToJson(), ["audiences"] = Json.Array(verdict.Audiences) }
            : new JsonObject { ["user"] = new JsonObject(), ["error"] = verdict.Error };
        return new(Review.Answer(Descriptor, spec, status));
    }
}

/// <summary>SelfSubjectReview: reports who the caller is (<c>kubectl auth whoami</c>)</summary>
internal sealed class SelfSubjectReviewResource(TimeProvider time) : IVirtualResource
{
    public VirtualResourceDescriptor Descriptor { get; } =
        Review.Descriptor(Resources.AuthenticationGroup, "selfsubjectreviews", "SelfSubjectReview");

    public ValueTask<VirtualResponse> HandleAsync(VirtualRequest request, CancellationToken stop)
    {
        var status = new JsonObject { ["userInfo"] = request.Attributes.User.ToJson() };
        var answer = Review.Answer(Descriptor, null, status);
        answer.Body["metadata"]!["creationTimestamp"] = ApiTime.Seconds(time.GetUtcNow());
        return new(answer);
    }
}
