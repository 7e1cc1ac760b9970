using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Controllers.Framework;

namespace Isthmus.Lab.Controllers.Identity;

/// <summary>Fills Secrets of type <c>kubernetes.io/service-account-token</c>, and removes those whose account is
/// gone.</summary>
internal sealed class TokenSecretController : Controller
{
    internal const string SecretType = "kubernetes.io/service-account-token";
    internal const string AccountName = "kubernetes.io/service-account.name";
    internal const string AccountUid = "kubernetes.io/service-account.uid";

    internal TokenSecretController(Runtime runtime) : base("serviceaccount-token-controller", runtime)
    {
        View.Secrets.Listen(change =>
        {
            if (change.Object?.Type == SecretType) Enqueue(change.Key);
        });
        View.ServiceAccounts.Listen(change =>
        {
            var account = (change.Object ?? change.Before)!;
            foreach (var secret in View.Secrets.Items)
                if (secret.Type == SecretType && secret.Metadata.Namespace == account.Metadata.Namespace
                    && secret.Metadata.Annotations.GetValueOrDefault(AccountName) == account.Metadata.Name) Enqueue(secret.Key);
        });
    }

    protected override async Task ReconcileAsync(string key, CancellationToken stop)
    {
        if (View.Secrets.Find(key) is not { Metadata.DeletionTimestamp: null } secret || secret.Type != SecretType) return;
        var name = secret.Metadata.Annotations.GetValueOrDefault(AccountName, "");
        // Read from the API server: the account may have been created a moment before the Secret, and a stale list would
        // delete the Secret.
        var account = name.Length == 0 ? null : View.ServiceAccounts.Find(secret.Metadata.Namespace, name)
            ?? await Runtime.Client.FindAsync<ServiceAccount>(Kinds.ServiceAccount, secret.Metadata.Namespace, name, stop);
        await DoAsync(key, TokenSecretPlan.For(secret, account, Runtime.Settings), stop);
    }
}

/// <summary>Decides what one token Secret needs.</summary>
public static class TokenSecretPlan
{
    public static Plan For(Secret secret, ServiceAccount? account, ControllerSettings settings)
    {
        var uid = secret.Metadata.Annotations.GetValueOrDefault(TokenSecretController.AccountUid, "");
        // A Secret of a deleted account must not pass to a new account of the same name.
        if (account is null || (uid.Length > 0 && uid != account.Metadata.Uid)) return new() { Writes = [Write.Delete(Kinds.Secret, secret)] };
        var data = new JsonObject();
        void Want(string key, string value)
        {
            var encoded = Convert.ToBase64String(Encoding.UTF8.GetBytes(value));
            if (secret.Data.GetValueOrDefault(key) != encoded) data[key] = encoded;
        }
        Want("ca.crt", settings.RootCertificate);
        Want("namespace", secret.Metadata.Namespace);
        if (!secret.Data.ContainsKey("token"))
            Want("token", settings.SignSecretToken(secret.Metadata.Namespace, account.Metadata.Name, account.Metadata.Uid, secret.Metadata.Name));
        if (data.Count == 0 && uid.Length > 0) return Plan.Nothing;
        var patch = new JsonObject
        {
            ["metadata"] = new JsonObject
            {
                // Signatures differ each time: a second token, decided from a copy without the first, would replace the
                // first.
                ["resourceVersion"] = secret.Metadata.ResourceVersion,
                ["annotations"] = new JsonObject { [TokenSecretController.AccountUid] = account.Metadata.Uid },
            },
            ["data"] = data,
        };
        return new() { Writes = [Write.Patch(Kinds.Secret, secret, patch)] };
    }
}
