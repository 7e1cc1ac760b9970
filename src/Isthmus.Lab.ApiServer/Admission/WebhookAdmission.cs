using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Lab.ApiServer.Errors;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Patch;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Schemas;
using Isthmus.Lab.ApiServer.Storage;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Admission;

/// <summary>Calls the mutating, later the validating webhooks that a request concerns.</summary>
/// <param name="reinvoked">Built-in plug-ins that run again after a webhook changed the object: an injected container needs the account's
/// token too.</param>
internal sealed class WebhookAdmission(
    IObjectStore store, KindRegistry kinds, WebhookCaller caller, IReadOnlyList<IAdmissionPlugin> reinvoked) : IAdmissionPlugin
{
    private readonly AdmissionMatcher _matcher = new(store, kinds);
    private readonly LiveView<ValueList<Webhook>> _mutating = new(store, Resources.MutatingWebhooks, Webhook.Read);
    private readonly LiveView<ValueList<Webhook>> _validating = new(store, Resources.ValidatingWebhooks, Webhook.Read);

    public async ValueTask MutateAsync(AdmissionRequest request, CancellationToken stop)
    {
        // Rounds: all webhooks; then those that want to see what later ones changed.
        var again = new List<(Webhook Hook, JsonObject Seen)>();
        var changed = false;
        foreach (var hook in _mutating.Read().Items.Values.SelectMany(hooks => hooks))
        {
            changed |= await CallAsync(hook, request, stop);
            if (hook.ReinvokeIfNeeded && request.Object is not null) again.Add((hook, (JsonObject)request.Object.DeepClone()));
        }
        if (!changed) return;
        foreach (var plugin in reinvoked) await plugin.MutateAsync(request, stop);
        foreach (var (hook, seen) in again)
            if (!JsonNode.DeepEquals(seen, request.Object)) await CallAsync(hook, request, stop);
    }

    public async ValueTask ValidateAsync(AdmissionRequest request, CancellationToken stop)
    {
        var calls = _validating.Read().Items.Values.SelectMany(hooks => hooks)
            .Select(hook => (Hook: hook, Kind: _matcher.Match(hook.Match, request)))
            .Where(call => call.Kind is not null)
            .Select(call => AskAsync(call.Hook, call.Kind!, request, stop))
            .ToList();
        if (calls.Count == 0) return;
        foreach (var answer in await Task.WhenAll(calls))
            if (answer is not null) request.Warnings.AddRange(answer.Warnings);
    }

    /// <returns>True when the webhook changed the object.</returns>
    private async Task<bool> CallAsync(Webhook hook, AdmissionRequest request, CancellationToken stop)
    {
        if (_matcher.Match(hook.Match, request) is not { } kind) return false;
        if (await AskAsync(hook, kind, request, stop) is not { } answer) return false;
        request.Warnings.AddRange(answer.Warnings);
        if (answer.Patch is null || request.Object is not { } before) return false;
        if (request.Subresource == "scale")
        {
            request.Object = Scales.Apply(request.Kind, (JsonObject)before.DeepClone(),
                Patched(answer.Patch, Scales.Of(request.Kind, before), Scales.KindOf(kind)));
            return !JsonNode.DeepEquals(before, request.Object);
        }
        var patched = Patched(answer.Patch, before, kind);
        // Seen in another version, it comes back under that version's name.
        patched["apiVersion"] = before["apiVersion"]?.DeepClone();
        patched["kind"] = before["kind"]?.DeepClone();
        request.Kind.Strategy.Prune(patched, null);
        request.Kind.Strategy.Default(patched);
        request.Object = patched;
        return !JsonNode.DeepEquals(before, patched);
    }

    /// <summary>The object after the patch, read as one that a client sends: a webhook can return an invalid object, too.</summary>
    private static JsonObject Patched(byte[] patch, JsonObject before, KindDescriptor kind)
    {
        try
        {
            var operations = JsonNode.Parse(patch, documentOptions: new() { MaxDepth = JsonText.MaxDepth }) as JsonArray
                ?? throw new JsonPatchException("json: cannot unmarshal into Go value of type jsonpatch.Patch");
            var patched = JsonPatch.Apply(operations, before.DeepClone()) as JsonObject
                ?? throw new JsonPatchException("the patched object is no longer an object");
            return SchemaDecoder.Decode(JsonText.ToBytes(patched), kind.Schema, []);
        }
        catch (JsonException e)
        {
            throw ApiException.Internal($"invalid JSON patch: {e.Message}");
        }
        catch (Exception e) when (e is JsonPatchException or DecodeException)
        {
            throw ApiException.Internal(e.Message);
        }
    }

    /// <returns>Null if its conditions do not hold, or if the webhook failed and its failure policy is Ignore.</returns>
    /// <exception cref="ApiException">The webhook rejected the request, or failed and its failure policy is Fail.</exception>
    private async Task<WebhookAnswer?> AskAsync(Webhook hook, KindDescriptor kind, AdmissionRequest request, CancellationToken stop)
    {
        if (!hook.Conditions.IsEmpty && !NamedExpression.AllHold(hook.Conditions, () => AdmissionReviewForm.Scope(request, kind), out var failure))
            return failure is null || hook.FailOpen ? null : throw Failed(hook, failure);
        if (request.DryRun && !hook.SafeOnDryRun)
            throw ApiException.BadRequest($"admission webhook \"{hook.Name}\" does not support dry run");
        try
        {
            var uid = Guid.NewGuid().ToString();
            var review = AdmissionReviewForm.Request(request, kind, hook.ReviewVersion, uid);
            var answer = AdmissionReviewForm.Read(await caller.PostAsync(hook.Client, review, hook.TimeoutSeconds, stop), uid);
            return answer.Allowed ? answer : throw Denied(hook.Name, answer.Status);
        }
        catch (WebhookCallException e)
        {
            return hook.FailOpen ? null : throw Failed(hook, $"failed to call webhook: {e.Message}");
        }
        catch (WebhookAnswerException e)
        {
            return hook.FailOpen ? null : throw Failed(hook, $"received invalid webhook response: {e.Message}");
        }
    }

    private static ApiException Failed(Webhook hook, string why) => ApiException.Internal($"failed calling webhook \"{hook.Name}\": {why}");

    private static ApiException Denied(string hook, JsonObject? status)
    {
        var code = (int)Math.Clamp(Json.Whole(status?["code"]) ?? 0, 400, 599);
        var (message, reason) = (Json.Text(status?["message"]), Json.Text(status?["reason"]));
        var why = message.Length > 0 ? $": {message}" : reason.Length > 0 ? $": {reason}" : " without explanation";
        var details = status?["details"];
        var causes = Json.Objects(details.At("causes"))
            .Select(cause => new StatusCause(Json.Text(cause["reason"]), Json.Text(cause["message"]), Json.Text(cause["field"])))
            .ToList();
        return new ApiException(code, reason, $"admission webhook \"{hook}\" denied the request{why}",
            new(details.TextAt("group"), details.TextAt("kind"), details.TextAt("name")) { Causes = causes }, withDetails: false);
    }
}
