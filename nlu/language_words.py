"""Words by which a short message shows its language: function words, everyday words and chat abbreviations. Written for this program."""

FRENCH = """
le la les l un une des du de d au aux ce cet cette ces mon ma mes ton ta tes son sa ses notre nos votre vos leur leurs
je j tu il elle on nous vous ils elles me m te t se s moi toi lui eux y en qui que qu quoi dont ou quel quelle quels
quelles lequel laquelle et mais donc or ni car si comme quand lorsque puisque parce pourquoi comment combien ne n pas
plus jamais rien personne aucun aucune tout toute tous toutes chaque plusieurs quelque quelques autre autres meme a
dans par pour sur sous avec sans entre vers chez contre depuis pendant avant apres jusque des des que suis es est
sommes etes sont etais etait etaient serai sera seront serait etre ete ai as avons avez ont avais avait avaient aurai
aura aurait avoir eu fais fait faites font faire ferai vais va allons allez vont aller irai peux peut pouvons pouvez
peuvent pouvoir pourrais pourriez veux veut voulons voulez veulent vouloir voudrais voudrait dois doit devons devez
doivent devoir faut faudrait sais sait savez savoir vois voir viens vient venir prends prend prendre mets mettre donne
donnez donner dis dit dire parle parler trouve trouver cherche chercher demande demander besoin envie aime aimerais
souhaite souhaiterais oui non peut etre merci bonjour bonsoir salut coucou au revoir bientot svp stp bjr bsr slt cc
rdv mdr ptdr lol pk pq pcq pr ds dc qd tt tjs tjr bcp auj ajd jsuis jveux jvoudrais jai cest jpeux chui chuis ouais
nan ok daccord d accord desole pardon excusez voila voici ici la bas aujourd hui demain hier matin midi soir nuit jour
semaine mois annee an ans heure heures minute lundi mardi mercredi jeudi vendredi samedi dimanche janvier fevrier mars
avril mai juin juillet aout septembre octobre novembre decembre deux trois quatre cinq six sept huit neuf dix cent
mille premier premiere dernier derniere prochain prochaine bon bonne bien mal mieux tres trop assez peu beaucoup
encore deja toujours souvent parfois vite tot tard maintenant puis ensuite alors aussi ainsi grand grande petit petite
nouveau nouvelle vieux belle beau gens homme femme enfant enfants fils fille pere mere monsieur madame mademoiselle
maison rue ville mairie ecole travail voiture argent prix euro euros carte compte numero adresse telephone courriel
nom prenom date naissance papier papiers dossier facture commande livraison colis remboursement aide probleme question
reponse message lettre compris comprends marche panne perdu vole ouvert ferme gratuit cher quelqu un chose fois cote
train avion billet chambre manger boire eau pain
"""

ENGLISH = """
the a an this that these those my your his her its our their mine yours i you he she it we they me him us them myself
who whom whose which what where when why how and but or nor so yet if because although while as than then not no never
nothing nobody none all every each some any many much more most few less least other another same such of in to for on
at by with from about into over after before between under through during without within against toward since until am
is are was were be been being have has had having do does did done doing will would shall should can could may might
must ought go goes going gone went come comes came coming get gets got getting make makes made take takes took give
gives gave put let know knows knew think thought see saw seen say says said tell told ask asked want wants wanted need
needs needed like likes liked love find found look looking looks show help please pls plz thanks thank thx ty hello hi
hey bye goodbye good morning evening afternoon night yes yeah yep nope ok okay sure sorry welcome cool great nice fine
well bad better best very too enough little lot still already always often sometimes soon late early now today
tomorrow yesterday tonight day days week weeks month months year years hour hours minute minutes monday tuesday
wednesday thursday friday saturday sunday january february march april may june july august september october november
december one two three four five six seven eight nine ten hundred thousand first second last next new old big small
long short high low open closed free cheap expensive people man woman child children kid kids son daughter father
mother mom dad mr mrs ms house home street city town school work job car money price pay paid bill card account number
address phone email name date birth paper file order delivery package refund problem issue question answer message
letter lost stolen broken working im ive dont doesnt didnt cant wont isnt arent wasnt youre theyre thats whats wheres
hows gonna wanna gotta lemme u ur r y idk btw asap lol omg brb tho cuz bc cos abt msg appt there here up down out off
back away again just only also even really actually maybe perhaps something anything everything someone anyone
everyone thing things time times way book booking cancel change check set play turn buy sell send call talk speak
start stop use eat drink water bread weather music movie song list remind reminder flight train ticket room hotel trip
right left keep bring try tried happen happened become else
"""
