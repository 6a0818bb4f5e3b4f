// What the chat itself says, by language; and how a page says it: `data-words` names the text of an element, `data-label` its
// accessible name, `data-hint` the placeholder of a field.

const WORDS = {
  fr: {
    own_name: "Français",
    chat: "Discussion",
    automated: "Assistant automatique",
    close: "Fermer la discussion",
    language: "Langue",
    notice_title: "Avant de commencer",
    notice_full: "Lire toute l’information",
    notice_reread: "Vos données",
    notice_close: "Fermer",
    reference: "Référence de cette discussion :",
    begin: "Commencer la discussion",
    begun: "Que puis-je faire pour vous ? Écrivez votre question.",
    messages: "Messages",
    choices: "Réponses proposées",
    write: "Votre message",
    write_hint: "Écrivez votre message",
    send: "Envoyer",
    end: "Terminer",
    end_title: "Terminer la discussion ?",
    end_text: "Les messages affichés ici disparaîtront de cet écran.",
    end_yes: "Terminer",
    end_no: "Continuer la discussion",
    ended: "La discussion est terminée.",
    ended_erased: "Vos données ont été effacées. Cette discussion est terminée.",
    again: "Nouvelle discussion",
    replaced: "La discussion continue dans une autre fenêtre.",
    here: "Continuer ici",
    you: "Vous",
    assistant: "Assistant",
    agent: "Agent (une personne)",
    typing: "L’assistant écrit",
    connecting: "Connexion en cours…",
    lost: "Connexion perdue. Nouvel essai dans un instant.",
    unreached: "L’assistant n’est pas joignable. Nouvel essai dans un instant.",
    offline: "Vous êtes hors ligne. Vos messages partiront au retour du réseau.",
    retry: "Réessayer",
    back: "Connexion rétablie.",
    pending: "Envoi…",
    not_sent: "Non envoyé.",
    send_again: "Renvoyer",
    opens: "(nouvelle fenêtre)",
    newer: "Nouveaux messages",
    earlier: "Messages précédents",
    left: "signes restants",
    not_resumed: "La discussion précédente ne peut pas être reprise. En voici une nouvelle.",
  },
  en: {
    own_name: "English",
    chat: "Chat",
    automated: "Automated assistant",
    close: "Close the chat",
    language: "Language",
    notice_title: "Before you begin",
    notice_full: "Read all of the information",
    notice_reread: "Your data",
    notice_close: "Close",
    reference: "Reference of this chat:",
    begin: "Start the chat",
    begun: "What can I do for you? Write your question.",
    messages: "Messages",
    choices: "Suggested answers",
    write: "Your message",
    write_hint: "Write your message",
    send: "Send",
    end: "End",
    end_title: "End the chat?",
    end_text: "The messages shown here will disappear from this screen.",
    end_yes: "End",
    end_no: "Go on chatting",
    ended: "The chat has ended.",
    ended_erased: "Your data has been erased. This chat has ended.",
    again: "New chat",
    replaced: "The chat goes on in another window.",
    here: "Continue here",
    you: "You",
    assistant: "Assistant",
    agent: "Agent (a person)",
    typing: "The assistant is writing",
    connecting: "Connecting…",
    lost: "Connection lost. Trying again in a moment.",
    unreached: "The assistant cannot be reached. Trying again in a moment.",
    offline: "You are offline. Your messages will go out once the network is back.",
    retry: "Try again",
    back: "Connected again.",
    pending: "Sending…",
    not_sent: "Not sent.",
    send_again: "Send again",
    opens: "(new window)",
    newer: "New messages",
    earlier: "Earlier messages",
    left: "characters left",
    not_resumed: "The previous chat cannot be continued. Here is a new one.",
  },
};

export const LANGUAGES = Object.keys(WORDS);

let spoken = "en";

export const language = () => spoken;
export const say = (name, tag = spoken) => WORDS[tag][name];

/** Speaks a language from here on, and says the page's words in it. */
export function speak(tag) {
  spoken = tag;
  document.documentElement.lang = tag;
  document.title = say("chat");
  fill(document);
}

/** Says the words of an element and what is in it. */
export function fill(root) {
  for (const each of root.querySelectorAll("[data-words]")) each.textContent = say(each.dataset.words);
  for (const each of root.querySelectorAll("[data-label]")) each.setAttribute("aria-label", say(each.dataset.label));
  for (const each of root.querySelectorAll("[data-hint]")) each.placeholder = say(each.dataset.hint);
}
